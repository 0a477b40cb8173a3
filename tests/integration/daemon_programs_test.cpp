// epulsed and the commands that talk to it, as a user runs them.
#include <fmt/format.h>
#include <grp.h>
#include <sched.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>

#include "agent/actuate/remote_socket.hpp"
#include "agent/actuate/socket_sampler.hpp"
#include "common/line_client.hpp"
#include "tests/agent/cpuset_group.hpp"
#include "tests/integration/scene.hpp"

namespace epulse::test {
namespace {

struct Said {
  int status = 0;
  std::string out;
  std::string err;
};

Said epulse(const Scene& scene, std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), EPULSE);
  arguments.insert(arguments.end(), {"--state-dir", scene.state_dir()});
  Program program(std::move(arguments));
  const int status = program.wait();
  return {status, program.out(), program.err()};
}

TEST(Daemon, IsAskedForStatusDiffHistoryAndUndo) {
  SKIP_ON_ONE_CPU();
  Scene scene("cooldown_s = 1\n");
  ASSERT_TRUE(scene.start());
  const auto agent = scene.agent("apply");
  ASSERT_TRUE(eventually([&] { return scene.changed(); })) << agent->err();

  const Said status = epulse(scene, {"status"});
  EXPECT_LT(status.status, 2) << status.err;
  EXPECT_TRUE(contains(
      status.out, fmt::format("epulsed[{}] watches epulse-ws[{}]", agent->pid(), scene.server())))
      << status.out;
  EXPECT_TRUE(contains(status.out, "mode apply")) << status.out;
  const Said diff = epulse(scene, {"diff"});
  EXPECT_EQ(diff.status, 1) << diff.err;
  EXPECT_TRUE(contains(diff.out, "or by hand: taskset -pc")) << diff.out;
  const Said preview = epulse(scene, {"undo", "--dry-run"});
  EXPECT_TRUE(contains(preview.out, "would undo thread")) << preview.out << preview.err;
  EXPECT_TRUE(scene.changed());

  const Said undo = epulse(scene, {"undo"});
  EXPECT_EQ(undo.status, 0) << undo.err;
  EXPECT_TRUE(contains(undo.out, "epulsed goes on in mode advise")) << undo.out;
  EXPECT_FALSE(scene.changed());
  // The hogs are still there: it advises, and does not do it again.
  Said advice;
  ASSERT_TRUE(eventually([&] {
    advice = epulse(scene, {"advise"});
    return advice.status == 1 && contains(advice.out, "affinity.");
  })) << agent->err();
  for (const char* part : {"affinity.", "evidence", "by hand   taskset -pc", "bounds"}) {
    EXPECT_TRUE(contains(advice.out, part)) << advice.out;
  }
  EXPECT_FALSE(scene.changed());
  const Said history = epulse(scene, {"history"});
  EXPECT_TRUE(contains(history.out, "changed  thread") && contains(history.out, "undone   thread"))
      << history.out;
}

TEST(Daemon, WithoutOneDiffAndHistoryReadTheFiles) {
  SKIP_ON_ONE_CPU();
  Scene scene;
  EXPECT_EQ(epulse(scene, {"diff"}).status, 0);
  EXPECT_EQ(epulse(scene, {"history"}).status, 0);
  const Said none = epulse(scene, {"status"});
  EXPECT_EQ(none.status, 2);
  EXPECT_TRUE(contains(none.err, "no epulsed runs with the state directory")) << none.err;
  ASSERT_TRUE(scene.start());
  const auto agent = scene.agent("apply");
  // The history is written after the change, and lost where the kill comes between.
  ASSERT_TRUE(eventually([&] { return contains(epulse(scene, {"history"}).out, "changed"); }))
      << agent->err();
  agent->signal(SIGKILL);
  agent->wait();
  const Said diff = epulse(scene, {"diff"});
  EXPECT_EQ(diff.status, 1) << diff.err;
  EXPECT_TRUE(contains(diff.out,
                       fmt::format("no epulsed runs ({}): 1 changes in force", scene.state_dir())))
      << diff.out;
  EXPECT_TRUE(contains(epulse(scene, {"history"}).out, "changed"));
  EXPECT_EQ(epulse(scene, {"undo"}).status, 0);
  EXPECT_FALSE(scene.changed());
}

// epulse-ws whose batch is too small for the publishers of a busy topic, and a control socket to
// change it by.
class SmallBatch {
 public:
  SmallBatch()
      : server_({EPULSE_WS, "--listen", "127.0.0.1:0", "--workers", "1", "--epoll-batch", "2",
                 "--control-socket", socket()}) {
    std::ofstream(config()) << "[agent]\ninterval_ms = 200\nstate_dir = \"" << state_dir()
                            << "\"\n[probes]\noverhead_budget = 0\n[tuner.affinity]\n"
                            << "enabled = false\n[tuner.server_buffers]\nverify_s = 1\n"
                            << "improvement_min = 0.01\n";
  }

  bool start() {
    std::smatch match;
    const std::regex listening("listening on (127\\.0\\.0\\.1:[0-9]+)");
    const auto listens = [&] {
      line_ = server_.out();
      return std::regex_search(line_, match, listening);
    };
    if (!eventually(listens)) return false;
    load_ = std::make_unique<Program>(std::vector<std::string>{
        EPULSE_LOAD, "ws://" + match[1].str() + "/topic/busy", "--broadcast", "--publishers", "40",
        "-c", "40", "-d", "60", "--progress", "0"});
    return true;
  }
  std::unique_ptr<Program> agent(const std::string& mode) const {
    return std::make_unique<Program>(std::vector<std::string>{
        EPULSED, "-p", std::to_string(server_.pid()), "-c", config(), "--mode", mode});
  }
  std::string ask(const std::string& request) const {
    return ask_line(socket(), request, 5).value_or("");
  }
  bool has_batch(int batch) const {
    return contains(ask("get"), fmt::format("\"epoll-batch\":{}}}", batch));
  }
  std::string state_dir() const { return directory_.file("state"); }

 private:
  std::string socket() const { return directory_.file("ws.sock"); }
  std::string config() const { return directory_.file("epulse.toml"); }

  TempDir directory_;
  Program server_;
  std::unique_ptr<Program> load_;
  std::string line_;
};

TEST(Daemon, EnlargesTheBatchOfAServerAndRestoresIt) {
  SKIP_WITHOUT_BPF();
  SmallBatch scene;
  ASSERT_TRUE(scene.start());
  const auto agent = scene.agent("apply");
  // It says so when the journal has it that the change is made, which is after the change.
  ASSERT_TRUE(eventually([&] { return contains(agent->err(), "epoll-batch of process"); }))
      << agent->err();
  EXPECT_FALSE(scene.has_batch(2)) << agent->err();
  agent->signal(SIGTERM);
  EXPECT_EQ(agent->wait(), 0);
  EXPECT_TRUE(scene.has_batch(2)) << agent->err();
}

TEST(Daemon, KilledItLeavesTheBatchToUndoAndAnAdministratorsToHim) {
  SKIP_WITHOUT_BPF();
  for (const bool administrator : {false, true}) {
    SmallBatch scene;
    ASSERT_TRUE(scene.start());
    const auto agent = scene.agent("apply");
    ASSERT_TRUE(eventually([&] { return !scene.has_batch(2); })) << agent->err();
    agent->signal(SIGKILL);
    agent->wait();
    if (administrator) scene.ask("set epoll-batch 77");
    Program undo({EPULSE, "undo", "--state-dir", scene.state_dir()});
    EXPECT_EQ(undo.wait(), 0) << undo.out() << undo.err();
    EXPECT_TRUE(scene.has_batch(administrator ? 77 : 2)) << undo.out() << undo.err();
  }
}

// epulse-ws whose connections have receive buffers that no segment fits into, as a server that sets
// SO_RCVBUF may have them; of clients that send large messages.
class SmallReceiveBuffers {
 public:
  SmallReceiveBuffers() : server_({EPULSE_WS, "--listen", "127.0.0.1:0", "--workers", "1"}) {
    std::ofstream(config()) << "[agent]\ninterval_ms = 200\nstate_dir = \""
                            << directory_.file("state")
                            << "\"\n[tuner.affinity]\nenabled = false\n[tuner.server_buffers]\n"
                            << "enabled = false\n[tuner.socket_buffers]\nenabled = true\n"
                            << "interval_s = 1\ncooldown_s = 1\nverify_s = 1\n";
  }

  bool start() {
    std::smatch match;
    std::string line;
    const std::regex listening("listening on (127\\.0\\.0\\.1:[0-9]+)");
    const auto listens = [&] {
      line = server_.out();
      return std::regex_search(line, match, listening);
    };
    if (!eventually(listens)) return false;
    load_ = std::make_unique<Program>(
        std::vector<std::string>{EPULSE_LOAD, "ws://" + match[1].str() + "/", "-c", "8", "-s",
                                 "65536", "-d", "100", "--progress", "0"});
    return eventually([&] { return sizes().size() == 8; }) && (shrink(), true);
  }
  std::unique_ptr<Program> agent() const {
    return std::make_unique<Program>(std::vector<std::string>{
        EPULSED, "-p", std::to_string(server_.pid()), "-c", config(), "--mode", "apply"});
  }
  // Of the connections' receive buffers.
  std::vector<uint64_t> sizes() const {
    std::vector<uint64_t> all;
    for (const auto& one : actuate::sample_sockets(server_.pid(), 100).sockets) {
      all.push_back(one.rcvbuf_bytes);
    }
    return all;
  }
  bool are_small() const { return sizes() == std::vector<uint64_t>(8, 4096); }
  const Program& load() const { return *load_; }
  std::string state_dir() const { return directory_.file("state"); }

 private:
  void shrink() const {
    const UniqueFd process = actuate::open_process(server_.pid());
    for (const auto& one : actuate::sample_sockets(server_.pid(), 100).sockets) {
      const UniqueFd socket = actuate::take_descriptor(process, server_.pid(), one.fd);
      actuate::set_buffer_bytes(socket.get(), model::BufferSide::kReceive, 4096);
    }
  }
  std::string config() const { return directory_.file("epulse.toml"); }

  TempDir directory_;
  Program server_;
  std::unique_ptr<Program> load_;
};

TEST(Daemon, KeepsLargerReceiveBuffersThatLetMoreThroughAndRestoresThem) {
  SmallReceiveBuffers scene;
  ASSERT_TRUE(scene.start());
  ASSERT_TRUE(scene.are_small());
  const auto agent = scene.agent();
  ASSERT_TRUE(eventually([&] { return contains(agent->err(), "socket buffers: kept"); }, 40))
      << agent->err();
  for (const uint64_t bytes : scene.sizes()) EXPECT_GT(bytes, 4096U);
  agent->signal(SIGTERM);
  EXPECT_EQ(agent->wait(), 0);
  EXPECT_TRUE(scene.are_small()) << agent->err();
}

TEST(Daemon, ForgetsChangesToConnectionsThatWereClosed) {
  SmallReceiveBuffers scene;
  ASSERT_TRUE(scene.start());
  const auto agent = scene.agent();
  const auto said = [&](const char* command) {
    Program program({EPULSE, command, "--state-dir", scene.state_dir()});
    program.wait();
    return program.out() + program.err();
  };
  ASSERT_TRUE(eventually([&] { return contains(agent->err(), "socket buffers: kept"); }, 40))
      << agent->err();
  EXPECT_TRUE(contains(said("diff"), "receive buffer of fd"));
  scene.load().signal(SIGTERM);
  EXPECT_TRUE(eventually([&] { return contains(said("diff"), "nothing is changed"); }))
      << said("diff");
  EXPECT_TRUE(eventually([&] { return read_text(scene.state_dir() + "/journal").empty(); }));
  EXPECT_TRUE(contains(said("history"), "gone     receive buffer of fd")) << said("history");
}

// Of an epulsed that was killed, and whose server has ended since.
TEST(Daemon, WhatIsGoneIsNotShownAsInForce) {
  SKIP_ON_ONE_CPU();
  Scene scene;
  ASSERT_TRUE(scene.start());
  const auto agent = scene.agent("apply");
  ASSERT_TRUE(eventually([&] { return scene.changed(); })) << agent->err();
  agent->signal(SIGKILL);
  agent->wait();
  EXPECT_EQ(epulse(scene, {"diff"}).status, 1);
  kill(scene.server(), SIGKILL);
  EXPECT_TRUE(eventually([&] { return epulse(scene, {"diff"}).status == 0; }))
      << epulse(scene, {"diff"}).out;
  EXPECT_TRUE(contains(epulse(scene, {"undo", "--dry-run"}).out, "nothing to undo"));
  const Said undo = epulse(scene, {"undo"});
  EXPECT_EQ(undo.status, 0) << undo.err;
  EXPECT_TRUE(contains(undo.out, "it has ended, nothing to restore")) << undo.out;
  EXPECT_TRUE(read_text(scene.state_dir() + "/journal").empty());
}

TEST(Daemon, KeepsNoReceiveBufferOnceTrafficHasStopped) {
  SmallReceiveBuffers scene;
  ASSERT_TRUE(scene.start());
  const auto agent = scene.agent();
  ASSERT_TRUE(eventually([&] { return contains(agent->err(), "socket buffers: changed"); }, 40))
      << agent->err();
  scene.load().signal(SIGSTOP);
  EXPECT_TRUE(eventually([&] { return contains(agent->err(), "socket buffers: undoing"); }))
      << agent->err();
  scene.load().signal(SIGCONT);
  EXPECT_TRUE(contains(agent->err(), "looks since found traffic, 100 are needed")) << agent->err();
  EXPECT_FALSE(contains(agent->err(), "socket buffers: kept")) << agent->err();
  EXPECT_TRUE(eventually([&] { return scene.are_small(); })) << agent->err();
}

// The units of packaging/ have a directory each in /run/epulse; others may run beside what is left.
TEST(Daemon, WhatDiedInADirectoryBelowIsFoundAndUndone) {
  SKIP_ON_ONE_CPU();
  Scene scene;
  ASSERT_TRUE(scene.start());
  const auto agent = scene.agent("apply");
  ASSERT_TRUE(eventually([&] { return scene.changed(); })) << agent->err();
  agent->signal(SIGKILL);
  agent->wait();
  const std::string above = std::filesystem::path(scene.state_dir()).parent_path();
  const auto said = [&](std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), EPULSE);
    arguments.insert(arguments.end(), {"--state-dir", above});
    Program program(std::move(arguments));
    program.wait();
    return program.out() + program.err();
  };
  EXPECT_TRUE(contains(said({"diff"}), "1 changes in force"));
  EXPECT_TRUE(contains(said({"undo", "--dry-run"}), "would undo thread"));
  EXPECT_FALSE(std::filesystem::exists(above + "/lock")) << "only looked at";
  EXPECT_TRUE(scene.changed());
  EXPECT_TRUE(contains(said({"undo"}), "restored"));
  EXPECT_FALSE(scene.changed());
}

// A server that accepts nobody, with room for two that wait: clients are turned away.
TEST(Daemon, AdvisesALargerBacklogWhereTheQueueOverflows) {
  const TempDir dir;
  Program server({"python3", "-c",
                  "import select, socket, time\n"
                  "poll = select.epoll()\n"
                  "s = socket.socket()\n"
                  "s.bind(('127.0.0.1', 0))\n"
                  "s.listen(1)\n"
                  "poll.register(s)\n"
                  "print(s.getsockname()[1], flush=True)\n"
                  "time.sleep(100)\n"});
  ASSERT_TRUE(eventually([&] { return contains(server.out(), "\n"); }));
  Program clients({"python3", "-c",
                   "import socket, sys, time\n"
                   "while True:\n"
                   "  all = [socket.socket() for i in range(8)]\n"
                   "  for s in all:\n"
                   "    s.setblocking(False)\n"
                   "    s.connect_ex(('127.0.0.1', int(sys.argv[1])))\n"
                   "  time.sleep(0.1)\n",
                   server.out().substr(0, server.out().size() - 1)});
  std::ofstream(dir.file("epulse.toml")) << "[agent]\ninterval_ms = 100\n";
  const std::string state_dir = dir.file("state");
  Program agent({EPULSED, "-p", std::to_string(server.pid()), "-c", dir.file("epulse.toml"),
                 "--mode", "advise", "--state-dir", state_dir, "--backend", "procfs"});
  std::string out;
  ASSERT_TRUE(eventually([&] {
    Program advise({EPULSE, "advise", "--json", "--state-dir", state_dir});
    return advise.wait() == 1 && contains(out = advise.out(), "host.listen-overflow");
  })) << agent.err();
  const auto advice = nlohmann::json::parse(out)["advice"][0];
  EXPECT_TRUE(contains(advice["by_hand"], "backlog of 128")) << out;
  EXPECT_TRUE(contains(advice["evidence"], "1 connections may wait to be accepted")) << out;
  EXPECT_EQ(advice["bounds"], "up to 65535; advice only");
  EXPECT_EQ(advice["figures"][0]["name"], "drops");
  clients.signal(SIGTERM);
  EXPECT_TRUE(eventually([&] {
    Program advise({EPULSE, "advise", "--state-dir", state_dir});
    return advise.wait() == 0 && contains(advise.out(), "no advice");
  })) << "what is over is not shown any more";
}

// The target ends while a change is being verified: there is nothing to undo, and no failure.
TEST(Daemon, ATargetThatEndsInMidChangeLeavesNothing) {
  SKIP_ON_ONE_CPU();
  Scene scene("verify_s = 60\n");
  ASSERT_TRUE(scene.start());
  const auto agent = scene.agent("apply");
  ASSERT_TRUE(eventually([&] { return scene.changed(); }, 50)) << agent->err();
  kill(scene.server(), SIGKILL);
  EXPECT_EQ(agent->wait(), 0) << agent->err();
  EXPECT_TRUE(contains(agent->err(), "the target ended")) << agent->err();
  EXPECT_TRUE(contains(agent->err(), "it has ended, nothing to restore")) << agent->err();
  EXPECT_TRUE(read_text(scene.state_dir() + "/journal").empty());
}

// The cpuset of the target loses the CPU that a worker was just moved to: the kernel has moved it
// elsewhere, which is not undone, and epulsed goes on.
TEST(Daemon, ACpusetThatShrinksInMidChangeIsLeftAsItIs) {
  SKIP_ON_ONE_CPU();
  const CpusetGroup cpuset;
  Scene scene("verify_s = 60\n");
  ASSERT_TRUE(scene.start());
  const model::CpuSet all = kernel::thread_affinity(0).value_or(model::CpuSet{});
  const Scene::Masks pinned = scene.masks();
  if (!cpuset || !cpuset.set("cpuset.cpus", all.to_string()) ||
      !cpuset.set("cgroup.procs", std::to_string(scene.server()))) {
    GTEST_SKIP() << "cannot make a cpuset; run as root, with the cpuset controller";
  }
  // To be moved into a cpuset sets a thread free.
  for (const auto& [tid, mask] : pinned) {
    const cpu_set_t native = mask.native();
    ASSERT_EQ(sched_setaffinity(tid, sizeof native, &native), 0);
  }
  ASSERT_FALSE(scene.changed());
  const auto agent = scene.agent("apply");
  ASSERT_TRUE(eventually([&] { return contains(agent->err(), "affinity: changed"); }, 50))
      << agent->err();
  model::CpuSet left;
  pid_t moved = 0;
  for (const auto& [tid, mask] : scene.masks()) {
    for (const auto& [old_tid, old_mask] : pinned) {
      if (old_tid != tid || old_mask == mask) continue;
      moved = tid;
      for (int cpu = all.first(); cpu >= 0; cpu = all.next(cpu)) {
        if (!mask.contains(cpu)) left.add(cpu);
      }
    }
  }
  ASSERT_NE(moved, 0);
  ASSERT_TRUE(cpuset.set("cpuset.cpus", left.to_string()));
  EXPECT_TRUE(eventually([&] { return contains(agent->err(), "somebody else set its CPU mask"); }))
      << agent->err();
  EXPECT_TRUE(eventually([&] { return read_text(scene.state_dir() + "/journal").empty(); }));
  EXPECT_EQ(kernel::thread_affinity(moved).value_or(model::CpuSet{}) & left,
            kernel::thread_affinity(moved).value_or(all));
  agent->signal(SIGTERM);
  EXPECT_EQ(agent->wait(), 0) << agent->err();
  kill(scene.server(), SIGKILL);  // a cpuset with somebody in it cannot be removed
}

// Seconds of CPU that a process has used, all of its threads.
double cpu_seconds(pid_t pid) {
  std::istringstream fields(read_text(fmt::format("/proc/{}/stat", pid)));
  std::string skipped;
  double user = 0;
  double system = 0;
  for (int field = 1; field < 14; ++field) fields >> skipped;
  fields >> user >> system;
  return (user + system) / static_cast<double>(sysconf(_SC_CLK_TCK));
}

double resident_mb(pid_t pid) {
  const std::string status = read_text(fmt::format("/proc/{}/status", pid));
  const size_t at = status.find("VmHWM:");
  return at == std::string::npos ? 0 : std::stod(status.substr(at + 6)) / 1024;
}

// To measure an interval takes less than an interval, by CPU time, since others run beside us.
TEST(Daemon, KeepsUpWithTenThousandThreads) {
  Program target({"python3", "-c",
                  "import select, threading\n"
                  "threading.stack_size(32768)\n"
                  "poll = select.epoll()\n"
                  "end = threading.Event()\n"
                  "for i in range(9999): threading.Thread(target=end.wait, daemon=True).start()\n"
                  "print('up', flush=True)\n"
                  "while True: poll.poll(0.05)\n"});
  if (!eventually([&] { return contains(target.out(), "up") || target.wait(0) >= 0; }, 60) ||
      !contains(target.out(), "up")) {
    GTEST_SKIP() << "no room for 10,000 threads (ulimit -u, pids.max): " << target.err();
  }
  ASSERT_EQ(kernel::thread_ids(target.pid()).size(), 10'000U);
  for (const char* const backend : {"procfs", "auto"}) {
    const TempDir dir;
    const std::string state_dir = dir.file("state");
    Program agent({EPULSED, "-p", std::to_string(target.pid()), "--mode", "advise", "--state-dir",
                   state_dir, "--backend", backend});
    const auto intervals = [&] {
      Program asked({EPULSE, "status", "--json", "--state-dir", state_dir});
      if (asked.wait() > 1) return uint64_t{0};
      return nlohmann::json::parse(asked.out())["intervals"].get<uint64_t>();
    };
    ASSERT_TRUE(eventually([&] { return intervals() >= 1; }, 60)) << agent.err();
    const uint64_t first = intervals();
    const double cpu_s = cpu_seconds(agent.pid());
    uint64_t last = first;
    ASSERT_TRUE(eventually([&] { return (last = intervals()) >= first + 5; }, 60)) << agent.err();
    const double each_s = (cpu_seconds(agent.pid()) - cpu_s) / static_cast<double>(last - first);
    EXPECT_LT(each_s, 0.8) << "of CPU for an interval of a second, " << backend;
    EXPECT_LT(resident_mb(agent.pid()), 500) << backend;
    agent.signal(SIGTERM);
    EXPECT_EQ(agent.wait(), 0) << agent.err();
  }
}

// No file can grow, as on a full disk: nothing is changed, and all else goes on.
TEST(Daemon, AFullDiskStopsTuningNotObservation) {
  SKIP_ON_ONE_CPU();
  // A rule that fires whatever the load is.
  Scene scene(
      "[[alerts.rule]]\nname = \"X\"\nmetric = \"run_share\"\nstatistic = \"mean\"\n"
      "threshold = 0\n");
  ASSERT_TRUE(scene.start());
  Program agent(
      {"sh", "-c", "(ulimit -f 0; exec " + scene.agent_command("apply") + ") 2>&1 | cat"});
  ASSERT_TRUE(eventually([&] {
    return epulse(scene, {"status"}).status < 2 &&
           contains(epulse(scene, {"advise"}).out, "taskset");
  }));
  EXPECT_FALSE(scene.changed());
  const auto status = nlohmann::json::parse(epulse(scene, {"status", "--json"}).out);
  EXPECT_EQ(status["changes"], 0);
  for (const char* part : {"nothing is changed without a journal", "alerts.rule \"X\""}) {
    EXPECT_TRUE(eventually([&] { return contains(agent.out(), part); })) << agent.out();
  }
  kill(status["pid"], SIGTERM);
  agent.wait();
  EXPECT_TRUE(eventually([&] { return contains(agent.out(), "stopping"); })) << agent.out();
}

TEST(Daemon, AnUnusableStateDirectoryLeavesAdvice) {
  SKIP_ON_ONE_CPU();
  Scene scene;
  std::ofstream(scene.state_dir()) << "a file, not a directory";
  ASSERT_TRUE(scene.start());
  const auto agent = scene.agent("apply");
  ASSERT_TRUE(eventually([&] { return contains(agent->err(), "would change thread"); }))
      << agent->err();
  EXPECT_TRUE(contains(agent->err(), "going on in mode advise")) << agent->err();
  EXPECT_FALSE(scene.changed());
}

TEST(Daemon, ReadsItsConfigurationAgainAndKeepsTheOldOneWhenTheNewIsBad) {
  Scene scene(
      "[[alerts.rule]]\nname = \"X\"\nmetric = \"run_share\"\nstatistic = \"mean\"\n"
      "threshold = 2\n");
  ASSERT_TRUE(scene.start());
  const auto agent = scene.agent("auto");
  ASSERT_TRUE(eventually([&] { return contains(agent->err(), "mode "); })) << agent->err();
  const std::string good = read_text(scene.config());
  std::ofstream(scene.config()) << good << "nonsense = 1\n";
  agent->signal(SIGHUP);
  ASSERT_TRUE(eventually([&] {
    return contains(agent->err(), "the configuration stays as it is:") &&
           contains(agent->err(), "nonsense is not known");
  })) << agent->err();
  std::ofstream(scene.config()) << good.substr(0, good.size() - 2) << "0\n";  // threshold = 0
  agent->signal(SIGHUP);
  ASSERT_TRUE(eventually([&] { return contains(agent->err(), "configuration read again"); }));
  EXPECT_TRUE(eventually([&] { return contains(agent->err(), "alerts.rule \"X\""); }))
      << "the new rule fires: " << agent->err();
  agent->signal(SIGTERM);
  EXPECT_EQ(agent->wait(), 0);
}

// The same alarm, before and after: a change of something else is no end of it.
TEST(Daemon, AReloadKeepsWhatFiresByARuleThatIsTheSame) {
  Scene scene(
      "[[alerts.rule]]\nname = \"Stays\"\nmetric = \"run_share\"\nstatistic = \"mean\"\n"
      "threshold = 0\n[[alerts.rule]]\nname = \"Goes\"\nmetric = \"run_share\"\n"
      "statistic = \"mean\"\nthreshold = 0\n");
  ASSERT_TRUE(scene.start());
  const auto agent = scene.agent("observe", "procfs");
  const auto firing = [&](const std::string& name) {
    std::set<std::string> since;
    const std::string out = epulse(scene, {"status", "--json"}).out;
    if (out.empty()) return since;
    const auto status = nlohmann::json::parse(out);
    for (const auto& alarm : status["alarms"]) {
      if (alarm["labels"]["alertname"] == name) since.insert(alarm["since"]);
    }
    return since;
  };
  ASSERT_TRUE(eventually([&] { return !firing("Stays").empty() && !firing("Goes").empty(); }))
      << agent->err();
  const auto before = firing("Stays");
  const std::string good = read_text(scene.config());
  std::ofstream(scene.config()) << good.substr(0, good.size() - 2) << "2\n";  // threshold = 2
  agent->signal(SIGHUP);
  ASSERT_TRUE(eventually([&] { return contains(agent->err(), "configuration read again"); }))
      << agent->err();
  EXPECT_TRUE(firing("Goes").empty());
  const auto after = firing("Stays");
  EXPECT_TRUE(std::includes(after.begin(), after.end(), before.begin(), before.end()));
  const std::string said = agent->err();
  EXPECT_TRUE(contains(said, "another configuration (alerts.rule \"Goes\")")) << said;
  EXPECT_FALSE(contains(said, "another configuration (alerts.rule \"Stays\")")) << said;
}

// As systemd would: told when it is ready, that it lives, and that it stops.
TEST(Daemon, TellsSystemdHowItIs) {
  Scene scene;
  ASSERT_TRUE(scene.start());
  const TempDir dir;
  Program listener({"python3", "-c",
                    "import socket, sys\n"
                    "s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)\n"
                    "s.bind(sys.argv[1])\n"
                    "while True: print(s.recv(4096).decode(), flush=True)\n",
                    dir.file("notify")});
  ASSERT_TRUE(eventually([&] { return std::filesystem::exists(dir.file("notify")); }));
  Program agent({"env", "NOTIFY_SOCKET=" + dir.file("notify"), "WATCHDOG_USEC=200000", EPULSED,
                 "-p", std::to_string(scene.server()), "-c", scene.config(), "--mode", "observe"});
  for (const char* part : {"READY=1", "STATUS=watching epulse-ws", "WATCHDOG=1"}) {
    EXPECT_TRUE(eventually([&] { return contains(listener.out(), part); })) << listener.out();
  }
  agent.signal(SIGTERM);
  EXPECT_EQ(agent.wait(), 0) << agent.err();
  EXPECT_TRUE(eventually([&] { return contains(listener.out(), "STOPPING=1"); }));
}

TEST(Daemon, GivesUpWhatItNoLongerNeeds) {
  if (geteuid() != 0) GTEST_SKIP() << "needs root, to have something to give up";
  Scene scene;
  ASSERT_TRUE(scene.start());
  const auto agent = scene.agent("observe", "procfs");
  ASSERT_TRUE(eventually([&] { return contains(agent->err(), "mode observe"); }));
  const std::string status = read_text(fmt::format("/proc/{}/status", agent->pid()));
  // CAP_DAC_READ_SEARCH (2) and CAP_SYS_PTRACE (19).
  EXPECT_TRUE(contains(status, "CapEff:\t0000000000080004")) << status;
  EXPECT_TRUE(contains(status, "CapBnd:\t0000000000080004")) << status;
}

// The group of its socket is set although it has given up what chown() takes by then.
TEST(Daemon, LetsAGroupAsk) {
  if (geteuid() != 0) GTEST_SKIP() << "needs root, to give a file to a group";
  Scene scene;
  std::ofstream(scene.config()) << "[agent]\ngroup = \"daemon\"\nstate_dir = \""
                                << scene.state_dir() << "\"\n";
  ASSERT_TRUE(scene.start());
  const auto agent = scene.agent("observe", "procfs");
  const std::string path = fmt::format("{}/epulsed-{}.sock", scene.state_dir(), agent->pid());
  ASSERT_TRUE(eventually([&] { return std::filesystem::exists(path); })) << agent->err();
  struct stat file {};
  ASSERT_EQ(stat(path.c_str(), &file), 0);
  const struct group* const daemons = getgrnam("daemon");
  ASSERT_NE(daemons, nullptr);
  EXPECT_EQ(file.st_gid, daemons->gr_gid) << agent->err();
  EXPECT_EQ(file.st_mode & 07777U, 0660U);
  // Every thread has the few capabilities that are kept, also the one that talks to clients.
  for (const pid_t tid : kernel::thread_ids(agent->pid())) {
    EXPECT_TRUE(contains(read_text(fmt::format("/proc/{}/task/{}/status", agent->pid(), tid)),
                         "CapEff:\t0000000000080004"))
        << tid;
  }
}

// A few of the instants of `make crash`.
TEST(Daemon, KilledAtRandomInstantsLeavesNothingBehind) {
  SKIP_ON_ONE_CPU();
  Program crash({"env", "EPULSE_BIN=" + std::filesystem::path(EPULSE).parent_path().string(),
                 SOURCE_DIR "/tools/crash", "4"});
  EXPECT_EQ(crash.wait(60), 0) << crash.out() << crash.err();
}

}  // namespace
}  // namespace epulse::test
