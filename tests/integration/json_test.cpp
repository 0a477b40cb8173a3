// What commands print for programs, on real scenes, against the schemas of docs/schemas.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <fstream>
#include <map>
#include <set>
#include <sstream>

#include "agent/kernel/facts.hpp"
#include "tests/integration/scene.hpp"

namespace epulse::test {
namespace {

// The commands that look at a process or at a recording, and those that ask epulsed.
const std::set<std::string> kObserving = {"list",   "stat",   "top",        "doctor",
                                          "report", "script", "epulse-load"};
const std::set<std::string> kTuning = {"status", "advise", "diff", "history", "undo"};

#define SKIP_WITHOUT_VALIDATOR()                                                     \
  if (Program({"/usr/bin/python3", "-c", "import jsonschema"}).wait() != 0) {        \
    GTEST_SKIP() << "python3-jsonschema is not installed; tools/setup test does it"; \
  }

// Lines of JSON, by the schema that they are to match.
class Lines {
 public:
  // `program`: has ended, or ends soon, with a status below `bad`.
  void add(const std::string& schema, Program& program, int bad = 2) {
    const int status = program.wait();
    EXPECT_GE(status, 0) << schema << " still runs";
    EXPECT_LT(status, bad) << schema << ": " << program.err();
    append(schema, program.out());
  }

  void append(const std::string& schema, const std::string& lines) {
    std::ofstream(folder_.file(schema), std::ios::app) << lines;
    seen_.insert(schema);
  }

  // "" when every line is as its schema says; else what is not.
  std::string problems() const {
    Program check({SOURCE_DIR "/tests/integration/check_json.py", SOURCE_DIR "/docs/schemas",
                   folder_.path()});
    return check.wait() == 0 ? "" : check.out() + check.err();
  }

  const std::set<std::string>& seen() const { return seen_; }

 private:
  TempDir folder_;
  std::set<std::string> seen_;
};

std::string name_of_schema(const std::string& command) {
  return command == "epulse-load" ? command : "epulse-" + command;
}

void expect_all_seen(const Lines& lines, const std::set<std::string>& commands) {
  for (const std::string& command : commands) {
    EXPECT_TRUE(lines.seen().contains(name_of_schema(command))) << command << " was not run";
  }
}

// The commands with an option --json, as the option tables tell a shell.
std::set<std::string> commands_with_json() {
  Program fish({EPULSE, "completion", "fish"});
  EXPECT_EQ(fish.wait(), 0);
  std::set<std::string> commands;
  std::istringstream lines(fish.out());
  const std::regex option("__fish_seen_subcommand_from ([a-z]+)'.* -l json ");
  for (std::string line; std::getline(lines, line);) {
    std::smatch match;
    if (std::regex_search(line, match, option)) commands.insert(match[1]);
  }
  return commands;
}

TEST(Json, EveryCommandWithJsonIsLookedAt) {
  std::set<std::string> commands = commands_with_json();
  EXPECT_GE(commands.size(), 11U);
  commands.insert("epulse-load");
  for (const std::string& command : commands) {
    EXPECT_TRUE(kObserving.contains(command) || kTuning.contains(command))
        << command << " is in neither table of this test";
    EXPECT_TRUE(std::filesystem::exists(
        fmt::format("{}/docs/schemas/{}.json", SOURCE_DIR, name_of_schema(command))))
        << command << " has no schema";
  }
}

// Two recordings, and what is made of them; one is cut short.
void look_at_recordings(Lines& lines, const std::string& pid) {
  const TempDir folder;
  const std::string whole = folder.file("whole");
  const std::string cut = folder.file("cut");
  Program first({EPULSE, "record", "-p", pid, "-o", whole, "-d", "0.5", "-I", "0.05",
                 "--sample-every", "7", "--exception-wakeup-us", "1", "--overhead-budget", "0"});
  Program second({EPULSE, "record", "-p", pid, "-o", cut, "-d", "0.3", "-I", "0.1"});
  ASSERT_EQ(first.wait(), 0) << first.err();
  ASSERT_EQ(second.wait(), 0) << second.err();
  std::filesystem::resize_file(cut, std::filesystem::file_size(cut) - 20);
  for (const std::string& file : {whole, cut}) {
    Program report({EPULSE, "report", "-j", "-i", file});
    lines.add("epulse-report", report);
    Program script({EPULSE, "script", "-j", "-i", file});
    lines.add("epulse-script", script);
  }
  Program few({EPULSE, "report", "-j", "--no-timeline", "-s", "events", "-n", "1", "-i", whole});
  lines.add("epulse-report", few);
  Program diff({EPULSE, "report", "-j", "--diff", whole, cut});
  lines.add("epulse-report", diff);
}

TEST(Json, OfCommandsThatObserveIsAsTheSchemasSay) {
  SKIP_WITHOUT_VALIDATOR();
  if (kernel::detect().bpf_errno != 0) GTEST_SKIP() << "BPF is refused here";
  Program server({EPULSE_WS, "--listen", "127.0.0.1:0", "--workers", "2", "--engine", "io_uring"});
  Program poller({EPULSE_WS, "--listen", "127.0.0.1:0", "--workers", "2", "--engine", "epoll"});
  const auto url_of = [](const Program& of) {
    std::smatch match;
    const std::string line = of.out();
    return std::regex_search(line, match, std::regex("listening on ([^,]*),"))
               ? "ws://" + match[1].str() + "/"
               : std::string();
  };
  ASSERT_TRUE(eventually([&] { return !url_of(server).empty() && !url_of(poller).empty(); }));
  const TempDir folder;
  const auto load = [&](const Program& on, const std::vector<std::string>& more) {
    std::vector<std::string> arguments = {EPULSE_LOAD, url_of(on), "-c", "8", "-r", "2000", "-j"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return std::make_unique<Program>(arguments);
  };
  const auto rings = load(server, {"-d", "60"});
  const auto waits = load(poller, {"-d", "60"});
  Program every_wait({EPULSE, "record", "-p", std::to_string(poller.pid()), "-o",
                      folder.file("waits"), "-I", "0.1", "--sample-every", "1", "--overhead-budget",
                      "0"});
  ASSERT_TRUE(eventually([&] { return std::filesystem::exists(folder.file("waits")); }))
      << every_wait.err();
  const auto finite = load(poller, {"-d", "0.5", "--progress", "0.2", "--expect", "p99<9s",
                                    "--record", folder.file("record")});
  const auto stepped = load(poller, {"-r", "500", "-d", "0.4"});
  Program ramp({EPULSE_LOAD, url_of(poller), "-c", "8", "--ramp", "p99<9s", "--ramp-max", "2000",
                "--step-duration", "0.1", "-j"});
  Program idle({EPULSE_LOAD, url_of(poller), "--idle", "-d", "0.1", "-j", "--memory-of",
                std::to_string(poller.pid())});
  const std::string ring_pid = std::to_string(server.pid());
  const std::string pid = std::to_string(poller.pid());

  Lines lines;
  std::vector<std::pair<std::string, std::unique_ptr<Program>>> runs;
  const auto run = [&](const std::string& command, std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), {EPULSE, command, "-j"});
    runs.emplace_back("epulse-" + command, std::make_unique<Program>(std::move(arguments)));
  };
  run("stat", {"-p", pid, "--cost", "--sockets", "0.2", "2"});
  run("stat", {"-p", ring_pid, "--sockets", "0.2", "2"});
  run("stat", {"-p", pid + "," + ring_pid, "--per-thread", "0.2", "1"});
  run("stat", {"-p", pid, "--per-epoll", "0.2", "1"});
  run("stat", {"-p", pid, "--backend", "procfs", "0.2", "2"});
  run("top", {"-p", pid, "0.2", "2"});
  run("top", {"0.2", "2"});
  run("list", {});
  run("doctor", {});
  look_at_recordings(lines, pid);
  for (auto& [schema, program] : runs) lines.add(schema, *program);
  lines.add("epulse-load", *finite);
  lines.add("epulse-load", *stepped);
  lines.add("epulse-load", ramp);
  lines.add("epulse-load", idle);
  lines.append("epulse-load-record", read_text(folder.file("record")));
  every_wait.signal(SIGINT);
  every_wait.wait();
  Program join(
      {EPULSE, "report", "-j", "-i", folder.file("waits"), "--join", folder.file("record")});
  lines.add("epulse-report", join);
  Program script({EPULSE, "script", "-j", "-i", folder.file("waits")});
  lines.add("epulse-script", script);
  EXPECT_TRUE(contains(script.out(), "\"type\":\"connection\""));

  EXPECT_EQ(lines.problems(), "");
  expect_all_seen(lines, kObserving);
}

TEST(Json, OfCommandsThatAskEpulsedIsAsTheSchemasSay) {
  SKIP_WITHOUT_VALIDATOR();
  SKIP_ON_ONE_CPU();
  Scene scene(
      "cooldown_s = 1\n[alerts.exec]\ncommand = [\"/bin/true\"]\n"
      "[alerts.alertmanager]\nurl = \"http://127.0.0.1:1\"\n"
      "[[alerts.rule]]\nname = \"X\"\nmetric = \"run_share\"\nstatistic = \"mean\"\n"
      "threshold = 0\n");
  ASSERT_TRUE(scene.start());
  Lines lines;
  const auto command = [&](std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), EPULSE);
    arguments.insert(arguments.end(), {"-j", "--state-dir", scene.state_dir()});
    return std::make_unique<Program>(std::move(arguments));
  };
  const auto ask = [&](const std::vector<std::string>& arguments) {
    const auto program = command(arguments);
    lines.add("epulse-" + arguments[0], *program);
    return program->out();
  };
  // Status 1: an alarm fires, there is advice.
  const auto finds = [&](const std::string& name) {
    return eventually([&] { return command({name})->wait() == 1; });
  };
  const auto agent = scene.agent("apply");
  ASSERT_TRUE(eventually([&] { return scene.changed(); })) << agent->err();
  ASSERT_TRUE(finds("status")) << agent->err();
  EXPECT_TRUE(contains(ask({"status"}), "\"alertname\""));
  ask({"diff"});
  ask({"undo", "--dry-run"});
  EXPECT_TRUE(contains(ask({"undo"}), "\"restored\""));
  ASSERT_TRUE(finds("advise")) << agent->err();
  EXPECT_TRUE(contains(ask({"advise"}), "taskset"));
  ask({"history"});
  agent->signal(SIGTERM);
  EXPECT_EQ(agent->wait(), 0) << agent->err();
  // Without one: what it left behind, which is nothing.
  EXPECT_TRUE(contains(ask({"diff"}), "no epulsed runs"));
  ask({"undo", "--dry-run"});
  ask({"undo"});

  EXPECT_EQ(lines.problems(), "");
  expect_all_seen(lines, kTuning);
}

}  // namespace
}  // namespace epulse::test
