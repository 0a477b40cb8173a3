// The built programs as a user runs them: bad input, servers they have never seen, and what is left
// behind.
#include <bpf/bpf.h>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <regex>
#include <set>
#include <sstream>

#include "agent/kernel/facts.hpp"
#include "agent/kernel/process.hpp"
#include "tests/agent/temp_dir.hpp"
#include "tests/integration/program.hpp"
#include "tests/integration/scene.hpp"

namespace epulse::test {
namespace {

// One line on stderr that holds every part, nothing on stdout, and a status that is not zero.
void expect_error(std::vector<std::string> arguments, const std::vector<std::string>& parts,
                  int status = 2) {
  Program program(std::move(arguments));
  EXPECT_EQ(program.wait(), status);
  const std::string message = program.err();
  if (status == 2) {
    EXPECT_EQ(program.out(), "");
  }
  EXPECT_EQ(std::count(message.begin(), message.end(), '\n'), 1) << message;
  for (const std::string& part : parts) EXPECT_TRUE(contains(message, part)) << message;
}

pid_t unused_pid() {
  Program program({"true"});
  program.wait();
  return program.pid();
}

// ---- bad input ----

TEST(BadInput, APidThatDoesNotExist) {
  const std::string pid = std::to_string(unused_pid());
  expect_error({EPULSE, "stat", "-p", pid}, {"epulse: ", pid, "does not exist", "epulse list"});
  expect_error({EPULSE, "record", "-p", pid, "-o", "/dev/null"}, {pid, "does not exist"});
  expect_error({EPULSED, "-p", pid}, {"epulsed: ", pid, "does not exist"});
}

TEST(BadInput, APidWithoutEpoll) {
  const Program sleeper({"sleep", "60"});
  const std::string pid = std::to_string(sleeper.pid());
  expect_error({EPULSE, "stat", "-p", pid}, {pid, "has no epoll instance", "epulse list"});
  expect_error({EPULSED, "-p", pid}, {pid, "has no epoll instance"});
}

TEST(BadInput, AMasterWhoseChildrenHaveTheEpollNamesThem) {
  const Program master(
      {"sh", "-c", std::string(EPULSE_WS) + " --listen 127.0.0.1:0 --workers 1 & echo $!; wait"});
  ASSERT_TRUE(eventually([&] { return contains(master.out(), "listening on"); })) << master.err();
  const pid_t child = std::stoi(master.out());
  expect_error({EPULSE, "stat", "-p", std::to_string(master.pid())},
               {"has no epoll instance", "its children have: " + std::to_string(child)});
  kill(child, SIGTERM);
}

TEST(BadInput, Arguments) {
  expect_error({EPULSE, "stat"}, {"--pid is required"});
  expect_error({EPULSE, "stat", "-p", "abc"}, {"abc"});
  expect_error({EPULSE, "stat", "-p", "-5"}, {"-5"});
  expect_error({EPULSE, "stat", "-p", "1", "0"}, {"interval"});
  expect_error({EPULSE, "stat", "-p", "1", "nan"}, {"nan"});
  expect_error({EPULSE, "stat", "-p", "1", "1", "-3"}, {"count", "-3"});
  expect_error({EPULSE, "stat", "--sokets"}, {"--sokets", "did you mean --sockets?"});
  expect_error({EPULSE, "topp"}, {"topp", "did you mean top?"});
  expect_error({EPULSE, "--bogus"}, {"--bogus"});
  expect_error({EPULSED, "-p", "1", "--mode", "foo"}, {"foo", "advise"});
  expect_error({EPULSE, "frobnicate"}, {"frobnicate"});
  expect_error({EPULSE, "record"}, {"nothing to record"});
  // What would not be heeded.
  expect_error({EPULSE, "report", "--join", "load.json", "--sort", "depth"}, {"--join", "--sort"});
  expect_error({EPULSE, "report", "--html", "page.html", "--rows", "3"}, {"--html", "--rows"});
  expect_error({EPULSE, "report", "--diff", "a", "b", "-i", "c"}, {"--diff", "--input"});
  expect_error({EPULSED}, {"no target", "-p PID"});
}

// A full disk must not pass for an empty result.
TEST(BadInput, AnOutputThatCannotBeWritten) {
  for (const char* command :
       {"list", "doctor", "list --json", "stat -p {} --backend procfs .1 1"}) {
    const Program server({EPULSE_WS, "--listen", "127.0.0.1:0", "--workers", "1"});
    ASSERT_TRUE(eventually([&] { return contains(server.out(), "listening on"); }));
    Program full({"sh", "-c",
                  fmt::format("exec {} {} > /dev/full", EPULSE,
                              fmt::format(fmt::runtime(command), server.pid()))});
    EXPECT_EQ(full.wait(), 2) << command;
    EXPECT_TRUE(contains(full.err(), "cannot write the output: No space left")) << full.err();
  }
}

TEST(BadInput, RecordFiles) {
  const TempDir directory;
  expect_error({EPULSE, "report", "-i", directory.file("none")}, {"cannot read", "none"});
  std::ofstream(directory.file("foreign")) << "PERFILE2 something else";
  expect_error({EPULSE, "report", "-i", directory.file("foreign")},
               {"foreign", "is not an epulse recording"});
  // The page would take its recording's place.
  expect_error(
      {EPULSE, "report", "-i", directory.file("foreign"), "--html", directory.file("./foreign")},
      {"is the recording itself", "another name"});
  EXPECT_EQ(read_text(directory.file("foreign")), "PERFILE2 something else");
}

TEST(BadInput, ATruncatedRecordShowsWhatIsIntact) {
  SKIP_WITHOUT_BPF();
  const TempDir directory;
  const std::string whole = directory.file("whole");
  Program record({EPULSE, "record", "-o", whole, "-I", "0.1", "--", "sleep", "0.5"});
  ASSERT_EQ(record.wait(), 0) << record.err();
  Program good({EPULSE, "report", "-i", whole});
  EXPECT_EQ(good.wait(), 0) << good.err();
  std::filesystem::resize_file(whole, std::filesystem::file_size(whole) - 20);
  expect_error({EPULSE, "report", "-i", whole}, {"whole", "cut short"}, 1);
}

TEST(BadInput, ACommandThatCannotBeRun) {
  SKIP_WITHOUT_BPF();
  const TempDir directory;
  expect_error({EPULSE, "record", "-o", directory.file("x"), "--", "/no/such/command"},
               {"cannot run /no/such/command", "No such file"});
}

TEST(BadInput, Configuration) {
  const TempDir directory;
  const std::string file = directory.file("epulse.toml");
  const Program sleeper({"sleep", "60"});
  const auto expect = [&](const std::string& text, const std::vector<std::string>& parts) {
    std::ofstream(file) << text;
    expect_error({EPULSED, "-p", std::to_string(sleeper.pid()), "-c", file}, parts);
  };
  expect("[agent]\ninterval_ms = 5\n", {file + ":2", "interval_ms", "5", "100"});
  expect("[alerts]\n\ndepht_max = 5\n", {file + ":3", "depht_max", "depth_max"});
  expect("[alerts]\ndepth_max = \"many\"\n", {file + ":2", "depth_max"});
  expect("[alerts\n", {file + ":1"});
  expect("[alerts.exec]\ncommand = [\"/no/such/hook\"]\n",
         {"alerts.exec.command", "/no/such/hook", "No such file"});
  Program check({EPULSED, "--check-config", "-c", file});
  EXPECT_EQ(check.wait(), 2);
  EXPECT_TRUE(contains(check.err(), "/no/such/hook")) << check.err();
  std::ofstream(file) << "[alerts]\ndepth_max = 7\n";
  Program good({EPULSED, "--check-config", "-c", file});
  EXPECT_EQ(good.wait(), 0) << good.err();
  EXPECT_EQ(good.out(), file + ": ok\n");
  expect_error({EPULSED, "-p", "1", "-c", directory.file("none.toml")}, {"none.toml"});
}

TEST(BadInput, APortInUse) {
  Program first({EPULSE_WS, "--listen", "127.0.0.1:0", "--workers", "1"});
  ASSERT_TRUE(eventually([&] { return contains(first.out(), "listening on"); })) << first.err();
  std::smatch match;
  const std::string line = first.out();
  ASSERT_TRUE(std::regex_search(line, match, std::regex("127\\.0\\.0\\.1:([0-9]+)")));
  expect_error({EPULSE_WS, "--listen", match[0].str()},
               {"cannot listen on", match[0].str(), "Address already in use", "--listen"});
}

// ---- servers it has never seen ----

// Debian's redis-server on a socket of its own, without files, under redis-benchmark's load.
class Redis {
 public:
  static bool installed() { return std::filesystem::exists(kBinary); }

  Redis()
      // Below those that the kernel gives to connections.
      : port_(std::to_string(20'000 + getpid() % 12'000)),
        // redis-tools ships the server under another name: one binary that looks at its own.
        server_({link("redis-server"), "--port", port_, "--bind", "127.0.0.1", "--save", "",
                 "--appendonly", "no"}) {}

  bool started() {
    return eventually([&] { return contains(server_.out(), "Ready to accept connections"); });
  }
  void start_load() {
    load_ = std::make_unique<Program>(std::vector<std::string>{
        "redis-benchmark", "-p", port_, "-n", "100000000", "-c", "20", "-t", "get", "-q"});
  }
  pid_t pid() const { return server_.pid(); }

 private:
  static constexpr const char* kBinary = "/usr/bin/redis-check-rdb";

  std::string link(const std::string& name) const {
    std::filesystem::create_symlink(kBinary, directory_.file(name));
    return directory_.file(name);
  }

  TempDir directory_;
  std::string port_;
  Program server_;
  std::unique_ptr<Program> load_;
};

#define SKIP_WITHOUT_REDIS()                                             \
  if (!Redis::installed())                                               \
  GTEST_SKIP() << "redis-tools is not installed; tools/setup test does " \
                  "it"

// The count in the summary's line of this name, -1 when there is none.
long summary_count(const std::string& text, const std::string& name) {
  std::smatch match;
  if (!std::regex_search(text, match, std::regex(name + " +([0-9]+) "))) return -1;
  return std::stol(match[1]);
}

TEST(ForeignServer, RedisShowsDepthBatchAndEveryStage) {
  SKIP_WITHOUT_BPF();
  SKIP_WITHOUT_REDIS();
  Redis redis;
  ASSERT_TRUE(redis.started());
  redis.start_load();
  Program stat({EPULSE, "stat", "-p", std::to_string(redis.pid()), "0.5", "4"});
  ASSERT_EQ(stat.wait(), 0) << stat.err();
  const std::string text = stat.out();
  EXPECT_TRUE(contains(text, " backend, every")) << text;
  for (const char* name :
       {"ready to woken", "woken to running", "running to delivered", "ready to delivered",
        "handler", "depth listed", "depth fresh", "batch"}) {
    EXPECT_GT(summary_count(text, name), 100) << name << "\n" << text;
  }
}

TEST(ForeignServer, ListShowsItsInstance) {
  SKIP_WITHOUT_REDIS();
  Redis redis;
  ASSERT_TRUE(redis.started());
  Program list({EPULSE, "list"});
  ASSERT_EQ(list.wait(), 0) << list.err();
  EXPECT_TRUE(std::regex_search(
      list.out(), std::regex(std::to_string(redis.pid()) + " redis-server +[0-9]+ +[1-9][0-9]* ")))
      << list.out();
}

TEST(ForeignServer, WhatCostsMoreThanTheBudgetIsLeftOut) {
  SKIP_WITHOUT_BPF();
  SKIP_WITHOUT_REDIS();
  const TempDir directory;
  Redis redis;
  ASSERT_TRUE(redis.started());
  redis.start_load();
  const std::string pid = std::to_string(redis.pid());
  Program within({EPULSE, "stat", "-p", pid, "--overhead-budget", "100", "1", "2"});
  Program over({EPULSE, "record", "-p", pid, "--overhead-budget", "0.001", "-d", "3", "-o",
                directory.file("data")});
  ASSERT_EQ(within.wait(), 0) << within.err();
  ASSERT_EQ(over.wait(), 0) << over.err();
  EXPECT_TRUE(
      std::regex_search(within.out(), std::regex(" probes: [0-9.]+ % of a CPU, budget 100 %\n")))
      << within.out();
  EXPECT_FALSE(contains(within.out(), "overhead budget")) << within.out();

  Program report({EPULSE, "report", "--no-histograms", "-i", directory.file("data")});
  ASSERT_EQ(report.wait(), 0) << report.err();
  const std::string text = report.out();
  EXPECT_TRUE(contains(text, "budget 0.001 %: over")) << text;
  EXPECT_TRUE(contains(text, "one interval of 60")) << text;
  EXPECT_TRUE(contains(text, "to keep to the overhead budget")) << text;
  EXPECT_GT(summary_count(text, "batch"), summary_count(text, "depth listed")) << text;
}

// Ours: no other process of the host has as many sockets ready.
TEST(Top, ShowsTheDeepestQueue) {
  SKIP_WITHOUT_BPF();
  constexpr int kReady = 1009;
  std::vector<int> descriptors;
  const int epoll = epoll_create1(EPOLL_CLOEXEC);
  for (int i = 0; i < kReady; ++i) {
    int pair[2];
    ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    descriptors.insert(descriptors.end(), {pair[0], pair[1]});
    epoll_event event{};
    event.events = EPOLLIN;
    ASSERT_EQ(epoll_ctl(epoll, EPOLL_CTL_ADD, pair[0], &event), 0);
    ASSERT_EQ(write(pair[1], "", 1), 1);
  }
  Program json({EPULSE, "top", "0.3", "2", "--hz", "20", "--json"});
  Program table({EPULSE, "top", "0.2", "1", "-n", "1"});
  ASSERT_EQ(json.wait(), 0) << json.err();
  ASSERT_EQ(table.wait(), 0) << table.err();
  for (const int descriptor : descriptors) close(descriptor);
  close(epoll);
  const std::string row =
      fmt::format(R"("pid":{},"process":"programs_test","epfd":{},"watched":1009,"waiting_mean":0,)"
                  R"("depth_mean":1009,"depth_max":1009,)",
                  getpid(), epoll);
  const std::string rows = json.out();
  const size_t first = rows.find(row);
  ASSERT_NE(first, std::string::npos) << row << "\n" << rows;
  EXPECT_NE(rows.find(row, first + 1), std::string::npos) << "only one of two tables\n" << rows;
  EXPECT_TRUE(std::regex_search(
      table.out(), std::regex(fmt::format("\nprograms_test\\[{}\\] +{} +1009 +0.0 +1009.0 +1009\n",
                                          getpid(), epoll))))
      << table.out();
}

TEST(ForeignServer, RecordAndReport) {
  SKIP_WITHOUT_BPF();
  SKIP_WITHOUT_REDIS();
  const TempDir directory;
  Redis redis;
  ASSERT_TRUE(redis.started());
  redis.start_load();
  Program record({EPULSE, "record", "-p", std::to_string(redis.pid()), "-o", directory.file("data"),
                  "--sample-every", "100", "--", "sleep", "1"});
  ASSERT_EQ(record.wait(), 0) << record.err();
  Program report({EPULSE, "report", "-i", directory.file("data")});
  ASSERT_EQ(report.wait(), 0) << report.err();
  EXPECT_GT(summary_count(report.out(), "handler"), 100) << report.out();
  EXPECT_TRUE(contains(report.out(), "command: sleep 1")) << report.out();
  EXPECT_FALSE(contains(report.out(), " 0 sampled")) << report.out();
}

TEST(ForeignServer, WithoutBpfTheSchedulersFiguresRemain) {
  SKIP_WITHOUT_REDIS();
  Redis redis;
  ASSERT_TRUE(redis.started());
  redis.start_load();
  Program stat(
      {EPULSE, "stat", "-p", std::to_string(redis.pid()), "--backend", "procfs", "0.5", "2"});
  ASSERT_EQ(stat.wait(), 0) << stat.err();
  EXPECT_TRUE(contains(stat.out(), "absent: queue depth")) << stat.out();
  EXPECT_TRUE(contains(stat.out(), "redis-server[" + std::to_string(redis.pid()))) << stat.out();
}

// ---- doctor ----

TEST(Doctor, SaysOfEachMetricWhatItIsAndWhy) {
  for (const bool bpf : {true, false}) {
    std::vector<std::string> arguments = {EPULSE, "doctor", "--json"};
    if (!bpf) arguments.insert(arguments.end(), {"--backend", "procfs"});
    Program doctor(arguments);
    const int status = doctor.wait();
    const std::string text = doctor.out();
    if (!bpf) {
      EXPECT_EQ(status, 69) << text;
    } else if (bpf_allowed()) {
      EXPECT_LT(status, 2) << doctor.err();
    }
    for (const char* metric : {"depth listed",
                               "depth fresh",
                               "backlog left",
                               "batch",
                               "ready to woken",
                               "woken to running",
                               "running to delivered",
                               "ready to delivered",
                               "handler",
                               "empty wake-ups",
                               "blame",
                               "depth of all epolls",
                               "SQ occupancy",
                               "CQ occupancy",
                               "CQ overflow",
                               "submit to complete",
                               "complete to reap",
                               "socket queues",
                               "receive queue full",
                               "UDP queue full",
                               "buffer limit hits"}) {
      // Either exact, or with a reason.
      EXPECT_TRUE(std::regex_search(
          text,
          std::regex(fmt::format(
              R"regex(\{{"name":"{}","quality":"(exact","why":""|(estimated|absent)","why":"[^"]+))regex",
              metric))))
          << metric << "\n"
          << text;
    }
    // The exit status is of what is absent.
    EXPECT_EQ(status != 0, contains(text, R"("quality":"absent")")) << text;
  }
}

// ---- the agent ----

TEST(Agent, MovesAWorkerAndRestoresItOnExit) {
  SKIP_ON_ONE_CPU();
  Scene scene;
  ASSERT_TRUE(scene.start());
  const auto agent = scene.agent("auto");
  ASSERT_TRUE(eventually([&] { return scene.changed(); })) << agent->err();
  // Said after it is done: the message may still be on its way.
  EXPECT_TRUE(eventually([&] { return contains(agent->err(), "by hand: taskset"); }))
      << agent->err();
  agent->signal(SIGTERM);
  EXPECT_EQ(agent->wait(), 0) << agent->err();
  EXPECT_FALSE(scene.changed()) << agent->err();
  EXPECT_TRUE(contains(agent->err(), "restored")) << agent->err();
}

// As `epulsed 2>&1 | tee log` after Ctrl-C, when tee is the first to end.
TEST(Agent, RestoresWhenNobodyReadsItsMessages) {
  SKIP_ON_ONE_CPU();
  Scene scene;
  ASSERT_TRUE(scene.start());
  const Program pipeline({"sh", "-c", scene.agent_command("apply") + " 2>&1 | head -n 1"});
  ASSERT_TRUE(eventually([&] { return scene.changed(); })) << pipeline.out();
  const std::vector<pid_t> children = kernel::children_of(pipeline.pid());
  ASSERT_FALSE(children.empty());
  for (const pid_t child : children) kill(child, SIGTERM);
  EXPECT_TRUE(eventually([&] { return !scene.changed(); }));
}

TEST(Agent, WithoutBpfItActsOnTheSchedulersFigures) {
  SKIP_ON_ONE_CPU();
  Scene scene;
  ASSERT_TRUE(scene.start());
  const auto agent = scene.agent("apply", "procfs");
  ASSERT_TRUE(eventually([&] { return scene.changed(); })) << agent->err();
  agent->signal(SIGINT);
  EXPECT_EQ(agent->wait(), 0) << agent->err();
  EXPECT_FALSE(scene.changed());
}

TEST(Agent, AdvisesAndChangesNothing) {
  SKIP_ON_ONE_CPU();
  Scene scene;
  ASSERT_TRUE(scene.start());
  const auto agent = scene.agent("advise");
  ASSERT_TRUE(eventually([&] { return contains(agent->err(), "would change thread"); }))
      << agent->err();
  EXPECT_FALSE(scene.changed());
}

TEST(Agent, KilledItLeavesAJournalThatUndoReads) {
  SKIP_ON_ONE_CPU();
  Scene scene;
  ASSERT_TRUE(scene.start());
  auto agent = scene.agent("apply");
  ASSERT_TRUE(eventually([&] { return scene.changed(); })) << agent->err();

  agent->signal(SIGKILL);
  EXPECT_EQ(agent->wait(), 128 + SIGKILL);
  EXPECT_TRUE(scene.changed());
  EXPECT_TRUE(scene.serves());

  Program preview({EPULSE, "undo", "--state-dir", scene.state_dir(), "--dry-run"});
  EXPECT_EQ(preview.wait(), 0) << preview.err();
  EXPECT_TRUE(contains(preview.out(), "would undo thread")) << preview.out();
  EXPECT_TRUE(scene.changed());
  Program undo({EPULSE, "undo", "--state-dir", scene.state_dir()});
  EXPECT_EQ(undo.wait(), 0) << undo.err();
  EXPECT_FALSE(scene.changed()) << undo.out();
  EXPECT_TRUE(scene.serves());
}

// Programs, maps and links that a process holds, as the kernel lists them at its descriptors.
using BpfIds = std::set<std::pair<std::string, uint32_t>>;

BpfIds bpf_objects_of(pid_t pid) {
  BpfIds ids;
  for (const auto& entry :
       std::filesystem::directory_iterator(fmt::format("/proc/{}/fdinfo", pid))) {
    std::ifstream info(entry.path());
    for (std::string key, value; info >> key;) {
      if ((key == "prog_id:" || key == "map_id:" || key == "link_id:") && info >> value) {
        ids.emplace(key, static_cast<uint32_t>(std::stoul(value)));
      }
    }
  }
  return ids;
}

bool is_alive(const std::string& kind, uint32_t id) {
  const int fd = kind == "prog_id:"  ? bpf_prog_get_fd_by_id(id)
                 : kind == "map_id:" ? bpf_map_get_fd_by_id(id)
                                     : bpf_link_get_fd_by_id(id);
  if (fd >= 0) close(fd);
  return fd >= 0;
}

TEST(Agent, KilledItLeavesNoBpfObject) {
  SKIP_WITHOUT_BPF();
  Scene scene;
  ASSERT_TRUE(scene.start());
  const auto agent = scene.agent("observe");
  ASSERT_TRUE(eventually([&] { return contains(agent->err(), " backend"); })) << agent->err();
  const BpfIds ids = bpf_objects_of(agent->pid());
  std::map<std::string, int> kinds;
  for (const auto& [kind, id] : ids) {
    ++kinds[kind];
    EXPECT_TRUE(is_alive(kind, id)) << kind << id;
  }
  EXPECT_GT(kinds["prog_id:"], 4);
  EXPECT_GT(kinds["map_id:"], 8);
  EXPECT_GT(kinds["link_id:"], 4);
  agent->signal(SIGKILL);
  agent->wait();
  // The kernel frees them after a grace period.
  EXPECT_TRUE(eventually([&] {
    return std::none_of(ids.begin(), ids.end(),
                        [](const auto& object) { return is_alive(object.first, object.second); });
  }));
}

TEST(Agent, KilledItIsClearedUpAfterByTheNext) {
  SKIP_ON_ONE_CPU();
  Scene scene;
  ASSERT_TRUE(scene.start());
  auto agent = scene.agent("apply");
  ASSERT_TRUE(eventually([&] { return scene.changed(); })) << agent->err();
  agent->signal(SIGKILL);
  agent->wait();
  const auto next = scene.agent("observe");
  EXPECT_TRUE(eventually([&] { return !scene.changed(); })) << next->err();
  EXPECT_TRUE(scene.serves());
}

// ---- make run ----

// tools/run in a session of its own, so that an interrupt reaches what a terminal's Ctrl-C would.
std::unique_ptr<Program> start_run(const std::vector<std::string>& settings = {}) {
  std::vector<std::string> command = {
      "setsid", "env", "EPULSE_BIN=" + std::filesystem::path(EPULSE).parent_path().string()};
  command.insert(command.end(), settings.begin(), settings.end());
  command.emplace_back(SOURCE_DIR "/tools/run");
  return std::make_unique<Program>(command);
}

// Its phases before the agent acts are there to be measured, which does not matter to all tests.
const std::vector<std::string> kHurried = {"EPULSE_RUN_CALM=3", "EPULSE_RUN_DAMAGE=3"};

std::vector<pid_t> session_members(pid_t session) {
  std::vector<pid_t> members;
  for (const pid_t pid : kernel::all_pids()) {
    if (pid != session && getsid(pid) == session) members.push_back(pid);
  }
  return members;
}

class Interrupted : public testing::TestWithParam<const char*> {};

// Each parameter is what the output shows at the moment of the interrupt.
TEST_P(Interrupted, LeavesNoProcess) {
  const auto run = start_run(kHurried);
  ASSERT_TRUE(eventually([&] { return contains(run->out() + run->err(), GetParam()); }, 60))
      << run->out() << run->err();
  std::string server;
  std::smatch match;
  const std::string out = run->out();
  if (std::regex_search(out, match, std::regex("pid ([0-9]+)\n"))) server = match[1];
  kill(-run->pid(), SIGINT);
  EXPECT_EQ(run->wait(), 130) << run->out() << run->err();
  EXPECT_TRUE(eventually([&] { return session_members(run->pid()).empty(); }, 5));
  EXPECT_FALSE(std::filesystem::exists("/dev/shm/epulse-ws." + server));
}

TEST(Run, ASecondInterruptDoesNotStopTheClearingUp) {
  const auto run = start_run(kHurried);
  ASSERT_TRUE(eventually([&] { return contains(run->out(), "mode apply"); }, 60)) << run->out();
  for (int interrupt = 0; interrupt < 5; ++interrupt) {
    kill(-run->pid(), SIGINT);
    eventually([] { return false; }, 0.01);
  }
  EXPECT_EQ(run->wait(), 130) << run->out() << run->err();
  EXPECT_TRUE(eventually([&] { return session_members(run->pid()).empty(); }, 5));
}

INSTANTIATE_TEST_SUITE_P(Run, Interrupted,
                         testing::Values("== server", "== load", "mode observe", "== damage",
                                         "by hand: taskset"),
                         [](const auto& param) {
                           std::string name;
                           for (const char c : std::string(param.param)) {
                             if (isalpha(c) != 0) name += c;
                           }
                           return name;
                         });

// What `tools/run` printed when the agent's action has helped; or that of the second try, since
// other programs may be busy beside a test.
std::string output_of_a_quiet_run() {
  std::string out;
  int status = -1;
  bool helped = false;
  for (int tries = 0; tries < 2 && !helped; ++tries) {
    const auto run = start_run();
    status = run->wait(100);
    out = run->out() + run->err();
    std::smatch match;
    helped = status == 0 &&
             std::regex_search(out, match, std::regex("improvement +([0-9.]+) times")) &&
             std::stod(match[1]) > 1.3;
  }
  EXPECT_EQ(status, 0) << out;
  return out;
}

TEST(Run, ShowsTheSceneAndLeavesTheMasksAlone) {
  SKIP_ON_ONE_CPU();
  const std::string out = output_of_a_quiet_run();
  std::smatch match;
  ASSERT_TRUE(std::regex_search(out, match, std::regex("improvement +([0-9.]+) times"))) << out;
  EXPECT_GT(std::stod(match[1]), 1.3) << out;  // five and more on a quiet machine
  ASSERT_TRUE(std::regex_search(
      out, match, std::regex("before ([-0-9, ]+) \\| during ([-0-9, ]+) \\| after ([-0-9, ]+)\n")))
      << out;
  EXPECT_EQ(match[1].str(), match[3].str());
  EXPECT_NE(match[1].str(), match[2].str());
}

}  // namespace
}  // namespace epulse::test
