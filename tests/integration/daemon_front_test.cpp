// What epulse status, advise, diff, history and undo say where something is not as it should be,
// and the remedies that they name.
#include <fmt/format.h>
#include <grp.h>
#include <signal.h>
#include <unistd.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "common/line_socket.hpp"
#include "tests/integration/said.hpp"
#include "tests/integration/scene.hpp"

namespace epulse::test {
namespace {

Said ask(const std::string& command, const std::string& state_dir) {
  return run({EPULSE, command, "--state-dir", state_dir});
}

// Somebody may have to put a change back by hand: said by every command until the file is gone.
TEST(Front, AJournalThatWasSetAsideIsNamedUntilItIsGone) {
  Scene scene;
  std::filesystem::create_directory(scene.state_dir());
  std::filesystem::permissions(scene.state_dir(), std::filesystem::perms::owner_all);
  write_text(scene.state_dir() + "/journal", "of no use\n");
  ASSERT_TRUE(scene.start());
  const std::string damaged = scene.state_dir() + "/journal.damaged";
  const auto expect_named = [&](const char* command, bool named) {
    const Said said = ask(command, scene.state_dir());
    EXPECT_EQ(contains(said.err, damaged), named) << command << ": " << said.err;
    EXPECT_EQ(contains(said.err, "then remove it"), named) << command << ": " << said.err;
  };
  {
    const auto agent = scene.agent("advise", "procfs");
    ASSERT_TRUE(eventually([&] { return std::filesystem::exists(damaged); })) << agent->err();
    ASSERT_TRUE(eventually([&] { return ask("status", scene.state_dir()).status < 2; }));
    for (const char* command : {"status", "diff", "undo"}) expect_named(command, true);
  }
  for (const char* command : {"status", "diff", "undo"}) expect_named(command, true);
  std::filesystem::remove(damaged);
  for (const char* command : {"status", "diff", "undo"}) expect_named(command, false);
}

TEST(Front, AFileIsNoStateDirectory) {
  const TempDir dir;
  write_text(dir.file("file"), "");
  for (const char* command : {"status", "advise", "diff", "history", "undo"}) {
    const Said said = ask(command, dir.file("file"));
    EXPECT_EQ(said.status, 2) << command;
    EXPECT_EQ(said.err, fmt::format("epulse: {} is no directory; give the --state-dir that epulsed "
                                    "had\n",
                                    dir.file("file")))
        << command;
  }
}

// As somebody who is neither root nor in the group of the socket, and as one who is in it.
TEST(Front, WhoMayNotAskIsToldWhoMay) {
  if (geteuid() != 0) GTEST_SKIP() << "needs root, to be somebody else";
  Scene scene;
  std::filesystem::permissions(std::filesystem::path(scene.config()).parent_path(),
                               std::filesystem::perms(0755));
  std::ofstream(scene.config()) << "[agent]\ngroup = \"daemon\"\nstate_dir = \""
                                << scene.state_dir() << "\"\n";
  std::filesystem::create_directory(scene.state_dir());
  std::filesystem::permissions(scene.state_dir(), std::filesystem::perms(0700));
  write_text(scene.state_dir() + "/journal", "");
  std::filesystem::permissions(scene.state_dir() + "/journal", std::filesystem::perms(0600));
  const std::string group = std::to_string(getgrnam("daemon")->gr_gid);
  const auto ask_as = [&](const std::string& groups, const std::string& command) {
    return run({"setpriv", "--reuid=65534", "--regid=65534", groups, EPULSE, command, "--state-dir",
                scene.state_dir()});
  };
  if (ask_as("--clear-groups", "history").status == 127) {
    GTEST_SKIP() << "nobody else can run " << EPULSE << " (setpriv, or a folder above it)";
  }
  ASSERT_TRUE(scene.start());
  const auto agent = scene.agent("observe", "procfs");
  ASSERT_TRUE(eventually([&] { return ask("status", scene.state_dir()).status < 2; }));
  for (const char* command : {"status", "advise", "diff", "history", "undo"}) {
    const Said stranger = ask_as("--clear-groups", command);
    EXPECT_EQ(stranger.status, 2) << command << stranger.out;
    EXPECT_TRUE(contains(stranger.err, "Permission denied; be root, or a member of agent.group"))
        << command << ": " << stranger.err;
    EXPECT_FALSE(contains(stranger.err, "has left changes")) << stranger.err;
    const Said member = ask_as("--groups=" + group, command);
    EXPECT_LT(member.status, 2) << command << ": " << member.err;
    EXPECT_EQ(member.err, "") << command;
  }
  agent->signal(SIGKILL);
  agent->wait();
  const Said member = ask_as("--groups=" + group, "undo");
  EXPECT_EQ(member.status, 2) << member.out;
  EXPECT_TRUE(contains(member.err, "/journal: Permission denied; be root")) << member.err;
}

TEST(Front, StatusSaysWhyTheModeIsAdviseAndTheWayBack) {
  Scene scene;
  ASSERT_TRUE(scene.start());
  const auto agent = scene.agent("apply", "procfs");
  const auto mode_why = [&] {
    const auto all = nlohmann::json::parse(
        run({EPULSE, "status", "-j", "--state-dir", scene.state_dir()}).out, nullptr, false);
    return all.value("mode", "") + ": " + all.value("mode_why", "");
  };
  ASSERT_TRUE(eventually([&] { return ask("status", scene.state_dir()).status < 2; }));
  EXPECT_EQ(mode_why(), "apply: ");
  EXPECT_EQ(ask("undo", scene.state_dir()).status, 0);
  const std::string status = ask("status", scene.state_dir()).out;
  EXPECT_TRUE(std::regex_search(
      status, std::regex("mode          advise, since `epulse undo` at 20[0-9T:.-]*Z; to have it "
                         "apply again `kill -HUP [0-9]+`, or restart it\n")))
      << status;
  EXPECT_TRUE(contains(status, fmt::format("kill -HUP {}`", agent->pid()))) << status;
  agent->signal(SIGHUP);
  EXPECT_TRUE(eventually([&] { return mode_why() == "apply: "; })) << mode_why();
}

TEST(Front, OfTwoThatWouldApplyToOneProcessTheSecondAdvises) {
  Scene scene;
  ASSERT_TRUE(scene.start());
  const auto first = scene.agent("apply", "procfs");
  ASSERT_TRUE(eventually([&] { return contains(first->err(), "mode apply"); })) << first->err();
  const std::string state_dir = scene.state_dir() + "-2";
  const std::vector<std::string> command = {
      EPULSED,       "-p",           std::to_string(scene.server()),
      "-c",          scene.config(), "--mode",
      "apply",       "--backend",    "procfs",
      "--state-dir", state_dir};
  auto second = std::make_unique<Program>(command);
  ASSERT_TRUE(eventually([&] { return ask("status", state_dir).status < 2; })) << second->err();
  EXPECT_TRUE(contains(second->err(), "another epulsed changes process")) << second->err();
  const std::string status = ask("status", state_dir).out;
  EXPECT_TRUE(contains(status, "mode          advise, since another epulsed changes epulse-ws["))
      << status;
  first->signal(SIGKILL);
  first->wait();
  second->signal(SIGTERM);
  EXPECT_EQ(second->wait(), 0) << second->err();
  second = std::make_unique<Program>(command);
  EXPECT_TRUE(eventually([&] { return contains(ask("status", state_dir).out, "mode apply"); }))
      << second->err();
}

TEST(Front, ProposalsOfOneScenarioAreGrouped) {
  const TempDir dir;
  nlohmann::json advice = nlohmann::json::array();
  const auto add = [&](const std::string& scenario, const std::string& target) {
    advice.push_back(
        {{"at", "2026-11-27T09:00:00.000Z"}, {"scenario", scenario}, {"target", target}});
  };
  for (int fd = 10; fd < 30; ++fd) {
    add("socket_buffers.receive-full", fmt::format("receive buffer of fd {}", fd));
    if (fd == 15) add("affinity.busy-cpu", "thread 7 (w)");
  }
  const nlohmann::json answer = {{"target", "ws[5]"}, {"mode", "advise"}, {"advice", advice}};
  const LineSocket daemon({.path = dir.file("epulsed-1.sock"), .owner = "test", .remedy = ""},
                          [&](std::string_view) { return answer.dump(); });
  const Said said = ask("advise", dir.path());
  EXPECT_EQ(said.status, 1) << said.err;
  EXPECT_EQ(said.out,
            "ws[5], mode advise: 21 proposals\n"
            "\nsocket_buffers.receive-full receive buffer of fd 10 (2026-11-27T09:00:00.000Z)\n"
            "  and 19 more of this process (--all shows them)\n"
            "\naffinity.busy-cpu thread 7 (w) (2026-11-27T09:00:00.000Z)\n");
  const Said all = run({EPULSE, "advise", "--all", "--state-dir", dir.path()});
  EXPECT_TRUE(contains(all.out, "fd 29 (") && !contains(all.out, "more of this")) << all.out;
  const Said json = run({EPULSE, "advise", "-j", "--state-dir", dir.path()});
  EXPECT_EQ(nlohmann::json::parse(json.out)["advice"].size(), 21U);
}

}  // namespace
}  // namespace epulse::test
