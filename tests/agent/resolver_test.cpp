// From selectors to processes, against a made-up /proc and control group tree.
#include "agent/targets/resolver.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "tests/agent/temp_dir.hpp"

namespace epulse::targets {
namespace {

using PidList = std::vector<pid_t>;

// An nginx master with two workers, a redis with a second thread, a shell without epoll, and a
// child of a worker.
class Resolving : public testing::Test {
 protected:
  Resolving() {
    roots_.proc = directory_.file("proc");
    roots_.cgroup = directory_.file("cgroup");
    roots_.systemd = directory_.file("systemd");
    roots_.control_group = [](const std::string&) { return std::nullopt; };
    add_process(10, 1, "nginx", false);
    add_process(11, 10, "nginx", true);
    add_process(12, 10, "nginx", true);
    add_process(13, 12, "cgi (odd) name", false);
    add_process(20, 1, "redis-server", true);
    add_id(21, 20);
    add_process(30, 1, "sh", false);
    add_group("system.slice", "");
    add_group("system.slice/nginx.service", "10\n");
    add_group("system.slice/nginx.service/workers", "11\n12\n0\n13\n");
    add_group("idle", "");
    add_group("shells", "30\n");
    add_group("unified/box", "20\n");
  }

  void add_id(pid_t id, pid_t tgid) {
    std::filesystem::create_directories(at(id));
    write_text(at(id) + "/status", fmt::format("Name:\tx\nTgid:\t{}\n", tgid));
  }
  void add_process(pid_t pid, pid_t parent, const std::string& name, bool epoll) {
    add_id(pid, pid);
    std::filesystem::create_directories(at(pid) + "/fd");
    write_text(at(pid) + "/comm", name + "\n");
    std::string stat = fmt::format("{} ({}) S {}", pid, name, parent);
    for (int field = 5; field <= 52; ++field) stat += " 0";
    write_text(at(pid) + "/stat", stat);
    if (epoll) std::filesystem::create_symlink("anon_inode:[eventpoll]", at(pid) + "/fd/5");
  }
  void add_group(const std::string& path, const std::string& pids) {
    std::filesystem::create_directories(roots_.cgroup + "/" + path);
    write_text(roots_.cgroup + "/" + path + "/cgroup.procs", pids);
  }
  std::string at(pid_t pid) const { return roots_.proc + "/" + std::to_string(pid); }

  PidList resolved(const Selector& selector) const { return resolve(selector, roots_); }
  void expect_error(const Selector& selector, std::initializer_list<const char*> parts) const {
    const std::string error = error_of([&] { resolve(selector, roots_); });
    EXPECT_EQ(error.find('\n'), std::string::npos);
    for (const char* part : parts) EXPECT_NE(error.find(part), std::string::npos) << error;
  }

  TempDir directory_;
  Roots roots_;
};

TEST_F(Resolving, PidsAreThemselvesOnce) {
  EXPECT_EQ(resolved(Pids{{20}}), (PidList{20}));
  EXPECT_EQ(resolved(Pids{{12, 11, 12}}), (PidList{11, 12}));
  EXPECT_EQ(resolved(Pids{{21}}), (PidList{20}));
}

TEST_F(Resolving, AThreadIsOfItsProcess) {
  EXPECT_EQ(resolved(Thread{21}), (PidList{20}));
  expect_error(Thread{99}, {"thread 99 does not exist"});
}

TEST_F(Resolving, ChildrenAreAllDescendants) {
  EXPECT_EQ(resolved(Pids{{10}, true}), (PidList{10, 11, 12, 13}));
  EXPECT_EQ(resolved(Pids{{12}, true}), (PidList{12, 13}));
}

TEST_F(Resolving, ANameIsExactAndHasItsChildren) {
  EXPECT_EQ(resolved(Name{"nginx"}), (PidList{10, 11, 12, 13}));
  EXPECT_EQ(resolved(Name{"redis-server"}), (PidList{20}));
  expect_error(Name{"redis"}, {"no process is named redis", "nginx[11]", "redis-server[20]"});
}

TEST_F(Resolving, ANameIsCutAsTheKernelCutsIt) {
  add_process(40, 1, "a-fifteen-chars", true);
  EXPECT_EQ(resolved(Name{"a-fifteen-chars-and-more"}), (PidList{40}));
}

TEST_F(Resolving, ACgroupIsAllBelowItByAnySpellingOfItsPath) {
  const PidList nginx{10, 11, 12, 13};
  EXPECT_EQ(resolved(Cgroup{"system.slice/nginx.service"}), nginx);
  EXPECT_EQ(resolved(Cgroup{"/system.slice/nginx.service"}), nginx);
  EXPECT_EQ(resolved(Cgroup{roots_.cgroup + "/system.slice"}), nginx);
  EXPECT_EQ(resolved(Cgroup{"box"}), (PidList{20}));
  EXPECT_EQ(resolved(Cgroup{"unified/box"}), (PidList{20}));
}

TEST_F(Resolving, ACgroupThatIsNotThereOrHasNothingToMeasure) {
  expect_error(Cgroup{"none"}, {"control group none does not exist under", "/cgroup"});
  expect_error(Cgroup{"idle"}, {"no process in control group", "idle"});
  expect_error(Cgroup{"shells"}, {"30 (sh)", "has an epoll instance", "redis-server[20]"});
}

TEST_F(Resolving, AUnitIsItsCgroup) {
  EXPECT_EQ(resolved(Unit{"nginx.service"}), (PidList{10, 11, 12, 13}));
  EXPECT_EQ(resolved(Unit{"nginx"}), (PidList{10, 11, 12, 13}));
  expect_error(Unit{"none"}, {"unit none.service has no control group", "systemd does not run here",
                              "choose a process with -p PID"});
  std::filesystem::create_directory(roots_.systemd);
  expect_error(Unit{"none"}, {"unit none.service has no control group: it does not run",
                              "`systemctl status none.service`"});
}

TEST_F(Resolving, AUnitElsewhereIsWhereSystemdSays) {
  roots_.control_group = [](const std::string& unit) -> std::optional<std::string> {
    if (unit == "cache.service") return "/box";
    return std::nullopt;
  };
  EXPECT_EQ(resolved(Unit{"cache"}), (PidList{20}));
}

TEST_F(Resolving, EveryPidNeedsAnEpollInstance) {
  expect_error(Pids{{99}}, {"process 99 does not exist"});
  expect_error(Pids{{20, 30}}, {"process 30 (sh) has no epoll instance"});
  expect_error(Pids{{30}, true}, {"neither process 30 (sh) nor a child"});
}

TEST_F(Resolving, WhoseChildrenAreFollowedAndWhatMayGrow) {
  EXPECT_FALSE(follows_children(Pids{{10}}));
  EXPECT_TRUE(follows_children(Pids{{10}, true}));
  EXPECT_FALSE(follows_children(Thread{21}));
  EXPECT_TRUE(follows_children(Name{"nginx"}));
  EXPECT_TRUE(is_open(Unit{"nginx"}));
  EXPECT_FALSE(is_open(Name{"nginx"}));
}

// A name in systemctl's command line must stay a name.
TEST(SystemdUnit, NoShellIsReachedByAName) {
  TempDir directory;
  const std::string file = directory.file("written");
  EXPECT_EQ(control_group_of_unit("x'; touch " + file + "; echo /box; '"), std::nullopt);
  EXPECT_FALSE(std::filesystem::exists(file));
}

}  // namespace
}  // namespace epulse::targets
