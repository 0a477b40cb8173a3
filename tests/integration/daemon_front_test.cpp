// What epulse status, advise, diff, history and undo say where something is not as it should be,
// and the remedies that they name.
#include <fmt/format.h>

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

}  // namespace
}  // namespace epulse::test
