// What becomes of epulsed's target while it watches: connections that close, threads by the
// thousand, a cpuset that shrinks, a process that ends.
#include <fmt/format.h>
#include <sched.h>
#include <signal.h>
#include <unistd.h>

#include <nlohmann/json.hpp>
#include <sstream>

#include "agent/actuate/remote_socket.hpp"
#include "agent/actuate/socket_sampler.hpp"
#include "tests/agent/cpuset_group.hpp"
#include "tests/integration/scene.hpp"

namespace epulse::test {
namespace {

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
  EXPECT_TRUE(contains(said("history"), "gone     epulse-ws[")) << said("history");
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
  nlohmann::json advice;  // there may be more, of a hypervisor that is busy beside us
  const auto all = nlohmann::json::parse(out);
  for (const auto& one : all["advice"]) {
    if (one["scenario"] == "host.listen-overflow") advice = one;
  }
  EXPECT_TRUE(contains(advice["by_hand"], "backlog of 128")) << out;
  EXPECT_TRUE(contains(advice["evidence"], "1 connections may wait to be accepted")) << out;
  EXPECT_EQ(advice["bounds"], "up to 65535; advice only");
  EXPECT_EQ(advice["figures"][0]["name"], "drops");
  clients.signal(SIGTERM);
  EXPECT_TRUE(eventually([&] {
    Program advise({EPULSE, "advise", "--state-dir", state_dir});
    return advise.wait() < 2 && !contains(advise.out(), "host.listen-overflow");
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
  EXPECT_TRUE(contains(agent->err(), "has ended")) << agent->err();
  EXPECT_TRUE(contains(agent->err(), "it has ended, nothing to restore")) << agent->err();
  EXPECT_TRUE(read_text(scene.state_dir() + "/journal").empty());
}

// What fired of it did not become well, and epulsed has not stopped by itself.
TEST(Daemon, SaysOfWhatFiresThatTheProcessHasEnded) {
  const TempDir dir;
  Scene scene(fmt::format("[alerts.exec]\ncommand = [\"/bin/sh\", \"-c\", "
                          "\"echo $EPULSE_STATE: $EPULSE_REASON >>$0\", \"{}\"]\n",
                          dir.file("told")) +
              "[[alerts.rule]]\nname = \"X\"\nmetric = \"run_share\"\nstatistic = \"mean\"\n"
              "threshold = 0\n");
  ASSERT_TRUE(scene.start());
  const auto agent = scene.agent("observe", "procfs");
  const auto told = [&] { return read_text(dir.file("told")); };
  ASSERT_TRUE(eventually([&] { return contains(told(), "firing:"); })) << agent->err();
  const std::string why = fmt::format("process epulse-ws[{}] has ended", scene.server());
  kill(scene.server(), SIGKILL);
  EXPECT_EQ(agent->wait(), 0) << agent->err();
  EXPECT_TRUE(contains(agent->err(), ": " + why + " (alerts.rule \"X\", severity warning)"))
      << agent->err();
  EXPECT_TRUE(contains(told(), "resolved: " + why)) << told();
  for (const char* const other : {"epulsed has stopped", "thread "}) {
    EXPECT_FALSE(contains(told(), other)) << told();
  }
}

TEST(Daemon, SaysOfWhatFiresThatItsDescriptorWasClosed) {
  SKIP_WITHOUT_BPF();
  Program target({"python3", "-c",
                  "import select, signal\n"
                  "poll = select.epoll()\n"
                  "asked = []\n"
                  "signal.signal(signal.SIGUSR1, lambda *_: asked.append(1))\n"
                  "print(poll.fileno(), flush=True)\n"
                  "while not asked: poll.poll(0.01)\n"
                  "poll.close()\n"
                  "while True: signal.pause()\n"});
  ASSERT_TRUE(eventually([&] { return contains(target.out(), "\n"); })) << target.err();
  const TempDir dir;
  write_text(dir.file("agent.toml"),
             "[agent]\ninterval_ms = 100\n"
             "[[alerts.rule]]\nname = \"Busy\"\nmetric = \"waits\"\nstatistic = \"rate\"\n"
             "threshold = 1\n");
  Program agent({EPULSED, "-p", std::to_string(target.pid()), "-c", dir.file("agent.toml"),
                 "--mode", "observe", "--state-dir", dir.file("state")});
  ASSERT_TRUE(eventually([&] { return contains(agent.err(), "ALERT waits"); })) << agent.err();
  const std::string fd = target.out().substr(0, target.out().find('\n'));
  target.signal(SIGUSR1);
  const std::string why = ": its epoll descriptor " + fd + " was closed (alerts.rule \"Busy\"";
  EXPECT_TRUE(eventually([&] { return contains(agent.err(), why); })) << agent.err();
  agent.signal(SIGTERM);
  EXPECT_EQ(agent.wait(), 0) << agent.err();
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
  EXPECT_TRUE(eventually([&] { return contains(agent->err(), "its cpuset has only CPU"); }))
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

}  // namespace
}  // namespace epulse::test
