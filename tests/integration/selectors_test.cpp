// `epulse stat` and `record` on processes that are named in every way there is.
#include <gtest/gtest.h>
#include <sched.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <fstream>
#include <memory>
#include <thread>

#include "agent/kernel/facts.hpp"
#include "tests/integration/program.hpp"
#include "tests/integration/truth.hpp"

namespace epulse::test {
namespace {

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

// A process that holds an epoll instance from its start, so that a command may name it, and
// delivers `count` events when it is told to. `name` is its comm.
class Server {
 public:
  Server(int count, const std::string& name)
      : child_([count, name](bool&) {
          prctl(PR_SET_NAME, name.c_str());
          deliver(count);
        }) {}
  pid_t pid() const { return child_.pid(); }
  std::string id() const { return std::to_string(pid()); }
  bool work() { return child_.work(); }

 private:
  const int epoll_ = epoll_create1(0);
  Child<bool> child_;  // inherits it
};

std::string name_of_this_test(const std::string& suffix = "") {
  return "et" + std::to_string(getpid()) + suffix;
}

class Selecting : public testing::Test {
 protected:
  void SetUp() override {
    if (kernel::detect().bpf_errno != 0) GTEST_SKIP() << "BPF is refused here: run as root";
  }

  // Runs `epulse stat SELECTOR` while `work` happens, until Ctrl-C. Its output.
  static std::string stat(const std::vector<std::string>& selector,
                          const std::function<void()>& work) {
    std::vector<std::string> arguments{EPULSE, "stat"};
    arguments.insert(arguments.end(), selector.begin(), selector.end());
    arguments.emplace_back("0.2");
    Program program(arguments);
    // The title is printed when the probes are attached.
    EXPECT_TRUE(eventually([&] { return contains(program.out(), " backend, every"); }))
        << program.err();
    work();
    program.signal(SIGINT);
    EXPECT_EQ(program.wait(), 0) << program.err();
    return program.out();
  }

  static void expect_error(const std::vector<std::string>& selector,
                           const std::vector<std::string>& parts) {
    std::vector<std::string> arguments{EPULSE, "stat"};
    arguments.insert(arguments.end(), selector.begin(), selector.end());
    Program program(arguments);
    EXPECT_EQ(program.wait(), 2);
    const std::string message = program.err();
    EXPECT_EQ(std::count(message.begin(), message.end(), '\n'), 1) << message;
    for (const std::string& part : parts) EXPECT_TRUE(contains(message, part)) << message;
  }
};

#define EXPECT_SUMMARY(out, pid, count)                                            \
  EXPECT_TRUE(contains(out, "[" + std::to_string(pid) + "], epoll fd ")) << (out); \
  EXPECT_TRUE(contains(out, "   " #count " waits, " #count " with events, " #count " sat")) << (out)

TEST_F(Selecting, TwoPids) {
  Server first(101, "first");
  Server second(211, "second");
  const std::string out = stat({"-p", first.id() + "," + second.id()}, [&] {
    EXPECT_TRUE(first.work());
    EXPECT_TRUE(second.work());
  });
  EXPECT_SUMMARY(out, first.pid(), 101);
  EXPECT_SUMMARY(out, second.pid(), 211);
}

TEST_F(Selecting, ByNameAndNoneOfAnother) {
  const std::string name = name_of_this_test("a");
  prctl(PR_SET_NAME, name.c_str());
  Server first(103, name);
  Server second(223, name);
  prctl(PR_SET_NAME, "selectors_test");
  Server other(7, "other");
  const std::string out = stat({"-C", name}, [&] {
    EXPECT_TRUE(first.work());
    EXPECT_TRUE(second.work());
    EXPECT_TRUE(other.work());
  });
  EXPECT_SUMMARY(out, first.pid(), 103);
  EXPECT_SUMMARY(out, second.pid(), 223);
  EXPECT_FALSE(contains(out, "[" + other.id() + "]")) << out;
  expect_error({"-C", name + "x"}, {"no process is named " + name + "x", "["});
}

TEST_F(Selecting, AThreadAndNotItsNeighbour) {
  struct Threads {
    std::atomic<pid_t> wanted;
    std::atomic<bool> go;
  };
  const int epoll = epoll_create1(0);
  Child<Threads> child([](Threads& threads) {
    std::thread wanted([&] {
      threads.wanted = gettid();
      while (!threads.go) sleep_ns(1'000'000);
      deliver(113);
    });
    while (!threads.go) sleep_ns(1'000'000);
    deliver(13);
    sleep_ns(500'000'000);  // an interval or two
    wanted.join();
  });
  close(epoll);
  auto& threads = *static_cast<Threads*>(child.shared());
  std::thread work([&] { EXPECT_TRUE(child.work()); });
  ASSERT_TRUE(eventually([&] { return threads.wanted != 0; }));
  const pid_t tid = threads.wanted;
  const std::string out = stat({"-t", std::to_string(tid)}, [&] {
    threads.go = true;
    work.join();
  });
  EXPECT_SUMMARY(out, tid, 113);
  EXPECT_FALSE(contains(out, " 13 with events")) << out;
  expect_error({"-t", "4194304"}, {"thread 4194304 does not exist"});
}

TEST_F(Selecting, ChildrenThatAreForkedLater) {
  const int epoll = epoll_create1(0);
  Child<pid_t> master([](pid_t& child) {
    const pid_t pid = fork();
    if (pid == 0) {
      deliver(107);
      pause();
    }
    child = pid;
    sleep_ns(700'000'000);  // an interval or two, so that names are seen
    require(kill(pid, SIGKILL) == 0 && waitpid(pid, nullptr, 0) == pid);
  });
  close(epoll);
  const std::string out =
      stat({"-p", std::to_string(master.pid()), "--children"}, [&] { EXPECT_TRUE(master.work()); });
  EXPECT_SUMMARY(out, master.result(), 107);
}

TEST_F(Selecting, WhenAllHaveEndedItEnds) {
  auto first = std::make_unique<Server>(1, "first");
  auto second = std::make_unique<Server>(1, "second");
  Program program({EPULSE, "stat", "-p", first->id() + "," + second->id(), "0.2"});
  ASSERT_TRUE(eventually([&] { return contains(program.out(), " backend, every"); }));
  first.reset();
  EXPECT_EQ(program.wait(0.7), -1) << "one of two still runs";
  second.reset();
  EXPECT_EQ(program.wait(), 0) << program.err();
  EXPECT_TRUE(contains(program.out(), "all of them ended")) << program.out();
}

// ---- control groups ----

// A group of the test's own, in the first hierarchy that lets us make one.
class ControlGroup {
 public:
  ControlGroup() {
    for (const char* hierarchy : {"", "/unified", "/systemd", "/pids"}) {
      const std::string root = std::string("/sys/fs/cgroup") + hierarchy;
      if (!std::filesystem::exists(root + "/cgroup.procs")) continue;
      const std::string path = root + "/epulse-test-" + std::to_string(getpid());
      std::error_code error;
      if (std::filesystem::create_directory(path, error)) {
        path_ = path;
        return;
      }
    }
  }
  ~ControlGroup() {
    // Its processes are gone, or about to be.
    if (!made()) return;
    EXPECT_TRUE(eventually([&] { return rmdir(path_.c_str()) == 0; })) << path_;
  }
  ControlGroup(const ControlGroup&) = delete;
  ControlGroup& operator=(const ControlGroup&) = delete;

  bool made() const { return !path_.empty(); }
  const std::string& path() const { return path_; }
  void add(pid_t pid) const { std::ofstream(path_ + "/cgroup.procs") << pid << std::endl; }

 private:
  std::string path_;
};

TEST_F(Selecting, ACgroupAndWhoJoinsItLater) {
  const ControlGroup group;
  if (!group.made()) GTEST_SKIP() << "no control group can be made under /sys/fs/cgroup here";
  Server member(109, "member");
  Server late(227, "late");
  Server other(7, "other");
  group.add(member.pid());
  const std::string out = stat({"-G", group.path()}, [&] {
    EXPECT_TRUE(member.work());
    group.add(late.pid());
    sleep_ns(1'000'000'000);  // five intervals: it is read again at each
    EXPECT_TRUE(late.work());
    EXPECT_TRUE(other.work());
  });
  EXPECT_SUMMARY(out, member.pid(), 109);
  EXPECT_SUMMARY(out, late.pid(), 227);
  EXPECT_FALSE(contains(out, "[" + other.id() + "]")) << out;
}

// ---- pid namespaces ----

struct Container {
  std::atomic<pid_t> pid;  // of its first process, as the host sees it
  std::atomic<bool> go;
  std::atomic<bool> done;
  int inner_pid;
  char out[16384];
};

// Runs `inside` as the first process of a pid namespace of its own, with a /proc of its own.
void contain(Container& container, const std::function<void()>& inside) {
  require(unshare(CLONE_NEWPID | CLONE_NEWNS) == 0);
  const pid_t pid = fork();
  if (pid == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    require(mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0);
    require(mount("proc", "/proc", "proc", 0, nullptr) == 0);
    inside();
    container.done = true;
    pause();
  }
  container.pid = pid;
  while (!container.done && waitpid(pid, nullptr, WNOHANG) == 0) sleep_ns(1'000'000);
}

// The numbers that count there are not the kernel's.
TEST_F(Selecting, InsideAPidNamespaceByThePidThatIsSeenThere) {
  Child<Container> child([](Container& container) {
    contain(container, [&] {
      std::vector<std::unique_ptr<Server>> servers;
      servers.reserve(3);
      for (int i = 0; i < 3; ++i) servers.push_back(std::make_unique<Server>(131 + i, "inside"));
      container.inner_pid = servers[1]->pid();
      const std::string out = stat({"-p", servers[1]->id()}, [&] {
        for (auto& server : servers) require(server->work());
      });
      out.copy(container.out, sizeof(container.out) - 1);
    });
  });
  ASSERT_TRUE(child.work());
  const Container& container = child.result();
  ASSERT_NE(container.pid, container.inner_pid);
  const std::string out = container.out;
  EXPECT_TRUE(contains(out, "tracepoint backend") || contains(out, "fentry backend") ||
              contains(out, "kprobe backend"))
      << out;
  EXPECT_SUMMARY(out, container.inner_pid, 132);
  EXPECT_FALSE(contains(out, "131 waits")) << out;
}

TEST_F(Selecting, InsideAPidNamespaceSeveral) {
  Child<Container> child([](Container& container) {
    contain(container, [&] {
      prctl(PR_SET_NAME, "boxed");
      Server first(139, "boxed");
      Server second(149, "boxed");
      prctl(PR_SET_NAME, "box");
      container.inner_pid = second.pid();
      const std::string out = stat({"-C", "boxed"}, [&] {
        require(first.work());
        require(second.work());
      });
      out.copy(container.out, sizeof(container.out) - 1);
    });
  });
  ASSERT_TRUE(child.work());
  const std::string out = child.result().out;
  EXPECT_SUMMARY(out, child.result().inner_pid - 1, 139);
  EXPECT_SUMMARY(out, child.result().inner_pid, 149);
}

TEST_F(Selecting, FromTheHostAProcessOfAContainer) {
  const int epoll = epoll_create1(0);
  Child<Container> child([](Container& container) {
    contain(container, [&] {
      while (!container.go) sleep_ns(1'000'000);
      deliver(137);
      sleep_ns(500'000'000);  // an interval or two
    });
  });
  close(epoll);
  auto& container = *static_cast<Container*>(child.shared());
  std::thread work([&] { EXPECT_TRUE(child.work()); });
  ASSERT_TRUE(eventually([&] { return container.pid != 0; }));
  const std::string out = stat({"-p", std::to_string(container.pid)}, [&] {
    container.go = true;
    work.join();
  });
  EXPECT_SUMMARY(out, container.pid, 137);
}

TEST_F(Selecting, WhatIsNotThere) {
  expect_error({"-G", "no/such/group"}, {"control group no/such/group does not exist"});
  expect_error({"--unit", "epulse-no-such"}, {"unit epulse-no-such.service has no control group"});
  expect_error({"-p", "1", "-C", "x"}, {"one kind of target at a time"});
  expect_error({"-p", "1,x"}, {"x is not a process id"});
  expect_error({}, {"--pid is required"});
}

}  // namespace
}  // namespace epulse::test
