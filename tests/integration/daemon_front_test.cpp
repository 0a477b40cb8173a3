// What epulse status, advise, diff, history and undo say where something is not as it should be,
// and the remedies that they name.
#include <fmt/format.h>
#include <signal.h>

#include <filesystem>
#include <nlohmann/json.hpp>

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

}  // namespace
}  // namespace epulse::test
