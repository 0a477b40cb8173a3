// epulsed and the commands that talk to it, as a user runs them.
#include <fmt/format.h>
#include <grp.h>
#include <sched.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <thread>

#include "agent/actuate/journal_format.hpp"
#include "common/line_client.hpp"
#include "common/unique_fd.hpp"
#include "tests/integration/said.hpp"
#include "tests/integration/scene.hpp"

namespace epulse::test {
namespace {

Said epulse(const Scene& scene, std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), EPULSE);
  arguments.insert(arguments.end(), {"--state-dir", scene.state_dir()});
  return run(std::move(arguments));
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
  for (const char* kind : {"changed ", "undone  "}) {
    EXPECT_TRUE(
        contains(history.out, fmt::format("{} epulse-ws[{}]: thread", kind, scene.server())))
        << history.out;
  }
}

TEST(Daemon, WithoutOneDiffAndHistoryReadTheFiles) {
  SKIP_ON_ONE_CPU();
  Scene scene;
  for (const char* command : {"diff", "history"}) {  // a slip of the pen is no all-clear
    const Said said = epulse(scene, {command});
    EXPECT_EQ(said.status, 2) << said.out;
    EXPECT_TRUE(contains(said.err, "there is no state directory")) << said.err;
  }
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
  EXPECT_TRUE(
      contains(diff.out, fmt::format("no epulsed runs ({}): 1 change in force", scene.state_dir())))
      << diff.out;
  EXPECT_TRUE(contains(epulse(scene, {"history"}).out, "changed"));
  EXPECT_EQ(epulse(scene, {"undo"}).status, 0);
  EXPECT_FALSE(scene.changed());
  EXPECT_TRUE(contains(epulse(scene, {"history"}).out, "restored"));
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
  const std::string preview = epulse(scene, {"undo", "--dry-run"}).out;
  EXPECT_TRUE(contains(preview, "would leave alone thread")) << preview;
  EXPECT_FALSE(contains(preview, "would undo")) << preview;
  const Said undo = epulse(scene, {"undo"});
  EXPECT_EQ(undo.status, 0) << undo.err;
  EXPECT_TRUE(contains(undo.out, "it has ended, nothing to restore")) << undo.out;
  EXPECT_TRUE(read_text(scene.state_dir() + "/journal").empty());
}

// The units of packaging/ have a directory each in /run/epulse; others may run beside what is left.
TEST(Daemon, WhatDiedInADirectoryBelowIsFoundAndUndone) {
  SKIP_ON_ONE_CPU();
  Scene scene;
  ASSERT_TRUE(scene.start());
  const auto agent = scene.agent("apply");
  ASSERT_TRUE(eventually([&] { return scene.changed(); })) << agent->err();
  EXPECT_TRUE(
      eventually([&] { return contains(epulse(scene, {"history"}).out, "changed  epulse-ws["); }));
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
  EXPECT_TRUE(contains(said({"diff"}), "1 change in force"));
  EXPECT_TRUE(contains(said({"status"}), "may have left changes behind")) << said({"status"});
  EXPECT_TRUE(contains(said({"history"}), "changed  epulse-ws[")) << said({"history"});
  EXPECT_TRUE(contains(said({"undo", "--dry-run"}), "would undo thread"));
  EXPECT_FALSE(std::filesystem::exists(above + "/lock")) << "only looked at";
  EXPECT_TRUE(scene.changed());
  EXPECT_TRUE(contains(said({"undo"}), "restored"));
  EXPECT_FALSE(scene.changed());
}

// No file can grow, as on a full disk: nothing is changed, and all else goes on.
// What epulsed has left behind of a sleeper, killed when it had moved it to its second CPU.
class LeftBehind {
 public:
  LeftBehind() : state_dir_(directory_.file("state")), sleeper_({"sleep", "60"}) {
    const model::CpuSet all = kernel::thread_affinity(0).value_or(model::CpuSet{});
    old_ = model::CpuSet::of(all.first());
    new_ = model::CpuSet::of(all.next(all.first()));
    const auto stat = kernel::thread_stat(sleeper_.pid(), sleeper_.pid());
    const cpu_set_t native = new_.native();
    EXPECT_EQ(sched_setaffinity(sleeper_.pid(), sizeof native, &native), 0);
    std::filesystem::create_directory(state_dir_);
    std::filesystem::permissions(state_dir_, std::filesystem::perms::owner_all);
    write_text(state_dir_ + "/journal",
               actuate::encode(actuate::IntentRecord{
                   1,
                   actuate::ThreadAffinity{sleeper_.pid(), sleeper_.pid(), stat->start_ticks,
                                           "sleep", old_, new_},
                   0, "a test"}));
  }

  const std::string& state_dir() const { return state_dir_; }
  bool restored() const { return kernel::thread_affinity(sleeper_.pid()) == old_; }
  Said undo(std::vector<std::string> more = {}) const {
    std::vector<std::string> command = {EPULSE, "undo", "--state-dir", state_dir_};
    command.insert(command.end(), more.begin(), more.end());
    return run(std::move(command));
  }

 private:
  TempDir directory_;
  std::string state_dir_;
  Program sleeper_;
  model::CpuSet old_, new_;
};

// A change may be in force that nobody can undo: no success.
TEST(Undo, SaysThatAJournalIsDamaged) {
  SKIP_ON_ONE_CPU();
  const LeftBehind left;
  std::string journal = read_text(left.state_dir() + "/journal");
  journal[journal.find("old=") + 4] ^= 1;
  write_text(left.state_dir() + "/journal", journal);
  for (const bool dry_run : {true, false}) {
    const Said said =
        left.undo(dry_run ? std::vector<std::string>{"-n"} : std::vector<std::string>{});
    EXPECT_EQ(said.status, 1);
    EXPECT_TRUE(contains(said.err, "journal:1: the line is damaged")) << said.err;
    EXPECT_TRUE(contains(said.err, "cannot be undone")) << said.err;
    if (!dry_run) continue;
    Program diff({EPULSE, "diff", "--state-dir", left.state_dir()});
    EXPECT_EQ(diff.wait(), 1) << "something may be in force";
  }
  EXPECT_TRUE(std::filesystem::exists(left.state_dir() + "/journal.damaged")) << "kept to read";
  EXPECT_EQ(left.undo().status, 0) << "said once";
}

TEST(Undo, ADaemonThatDoesNotAnswerKeepsNoOtherFromIt) {
  SKIP_ON_ONE_CPU();
  const LeftBehind left;
  const UniqueFd listener(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const std::string path = left.state_dir() + "/epulsed-1.sock";
  ASSERT_LT(path.size(), sizeof address.sun_path);
  path.copy(address.sun_path, path.size());
  ASSERT_EQ(bind(listener.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  ASSERT_EQ(listen(listener.get(), 1), 0);
  std::thread refuses([&] {
    const UniqueFd client(accept(listener.get(), nullptr, nullptr));
    const std::string answer = "{\"error\":\"busy; nothing was done\"}\n";
    EXPECT_GT(send(client.get(), answer.data(), answer.size(), MSG_NOSIGNAL), 0);
  });
  const Said said = left.undo();
  refuses.join();
  EXPECT_EQ(said.status, 2);
  EXPECT_TRUE(contains(said.err, "epulsed-1.sock: busy; nothing was done")) << said.err;
  EXPECT_TRUE(contains(said.out, "restored")) << said.out;
  EXPECT_TRUE(left.restored());
}

TEST(Undo, AStateDirectoryThatIsNotThereIsNoSuccess) {
  Program undo({EPULSE, "undo", "--state-dir", "/no/such/place"});
  EXPECT_EQ(undo.wait(), 2);
  EXPECT_TRUE(contains(undo.err(), "there is no state directory /no/such/place")) << undo.err();
}

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
  EXPECT_TRUE(eventually([&] {
    return contains(epulse(scene, {"status"}).out, "journal       nothing can be changed: cannot");
  })) << epulse(scene, {"status"}).out;
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
      "threshold = 1\n");
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
  const auto config_error = [&] {
    return nlohmann::json::parse(epulse(scene, {"status", "-j"}).out).value("config_error", "");
  };
  EXPECT_TRUE(contains(config_error(), "nonsense is not known")) << config_error();
  std::ofstream(scene.config()) << good.substr(0, good.size() - 2) << "0\n";  // threshold = 0
  agent->signal(SIGHUP);
  ASSERT_TRUE(eventually([&] { return contains(agent->err(), "configuration read again"); }));
  EXPECT_TRUE(eventually([&] { return contains(agent->err(), "alerts.rule \"X\""); }))
      << "the new rule fires: " << agent->err();
  EXPECT_EQ(config_error(), "");
  agent->signal(SIGTERM);
  EXPECT_EQ(agent->wait(), 0);
}

// The server hangs, at first already when epulsed comes: no wait returns that anything could be
// learnt from.
TEST(Daemon, TellsOfALoopThatStopsTurning) {
  SKIP_WITHOUT_BPF();
  Scene scene("[alerts]\nstalled_s = 1\n");
  ASSERT_TRUE(scene.start());
  std::this_thread::sleep_for(std::chrono::milliseconds(300));
  kill(scene.server(), SIGSTOP);
  const auto agent = scene.agent("observe");
  const auto times = [&](const std::string& what) {
    const std::string text = "\n" + agent->err();
    size_t count = 0;
    for (size_t at = text.find(what); at != std::string::npos; at = text.find(what, at + 1))
      ++count;
    return count;
  };
  const std::string fired = "ALERT time without a wait while items are ready of ";
  const std::string resolved = "RESOLVED time without a wait while items are ready of ";
  EXPECT_TRUE(eventually([&] { return times(fired) > 0; })) << agent->err();
  EXPECT_TRUE(contains(agent->err(), " items ready)")) << agent->err();
  const Said status = epulse(scene, {"status"});
  EXPECT_EQ(status.status, 1) << status.out;
  EXPECT_TRUE(contains(status.out, "time without a wait")) << status.out;
  const size_t loops = times(fired);
  kill(scene.server(), SIGCONT);
  EXPECT_TRUE(eventually([&] { return times(resolved) >= loops; })) << agent->err();
  kill(scene.server(), SIGSTOP);
  EXPECT_TRUE(eventually([&] { return times(fired) > times(resolved); })) << agent->err();
  kill(scene.server(), SIGCONT);
}

// The same alarm, before and after: a change of something else is no end of it.
TEST(Daemon, AReloadKeepsWhatFiresByARuleThatIsTheSame) {
  // Nobody listens there: all that happens is still to be said.
  Scene scene(
      "[alerts.alertmanager]\nurl = \"http://127.0.0.1:1\"\n"
      "[[alerts.rule]]\nname = \"Stays\"\nmetric = \"run_share\"\nstatistic = \"mean\"\n"
      "threshold = 0\nseverity = \"critical\"\n[[alerts.rule]]\nname = \"Goes\"\nmetric = "
      "\"run_share\"\n"
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
  const std::string status_text = epulse(scene, {"status"}).out;
  EXPECT_TRUE(contains(status_text, "critical, since ")) << status_text;
  EXPECT_TRUE(std::regex_search(status_text, std::regex("; now [0-9.e-]+, worst [0-9.e-]+\n")))
      << status_text;
  EXPECT_TRUE(contains(agent->err(), "(alerts.rule \"Stays\", severity critical)")) << agent->err();
  const auto unsaid = [&] {
    const auto status = nlohmann::json::parse(epulse(scene, {"status", "--json"}).out);
    return status["sinks"]["alertmanager"]["unsaid"].get<int>();
  };
  const int unsaid_before = unsaid();
  std::string good = read_text(scene.config());
  good.replace(good.find("200"), 3, "300");                                   // interval_ms
  std::ofstream(scene.config()) << good.substr(0, good.size() - 2) << "1\n";  // threshold = 1
  agent->signal(SIGHUP);
  ASSERT_TRUE(eventually([&] { return contains(agent->err(), "configuration read again"); }))
      << agent->err();
  EXPECT_TRUE(firing("Goes").empty());
  EXPECT_GE(unsaid(), unsaid_before) << "also that Goes is resolved";
  const auto after = firing("Stays");
  EXPECT_TRUE(std::includes(after.begin(), after.end(), before.begin(), before.end()));
  const std::string said = agent->err();
  EXPECT_TRUE(
      contains(said, "its rule was changed in the configuration (alerts.rule \"Goes\", severity"))
      << said;
  EXPECT_FALSE(contains(said, "in the configuration (alerts.rule \"Stays\"")) << said;
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
  const std::string tool = std::string(SOURCE_DIR) + "/tools/crash";
  Program crash({"env", "EPULSE_BIN=" + std::filesystem::path(EPULSE).parent_path().string(), tool,
                 "4", "7", "masks"});
  EXPECT_EQ(crash.wait(60), 0) << crash.out() << crash.err();
}

}  // namespace
}  // namespace epulse::test
