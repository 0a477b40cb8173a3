#include <fmt/format.h>

#include "agent/actuate/actuator.hpp"
#include "tools/cli/commands.hpp"

namespace epulse::cli {

int run_undo(const UndoOptions& options) {
  actuate::Actuator actuator(options.state_dir);
  for (const std::string& complaint : actuator.complaints()) {
    fmt::print(stderr, "epulse: {}\n", complaint);
  }
  if (actuator.pending().empty()) {
    fmt::print("nothing to undo in {}\n", options.state_dir);
    return 0;
  }
  if (options.dry_run) {
    const auto& pending = actuator.pending();
    for (auto intent = pending.rbegin(); intent != pending.rend(); ++intent) {
      fmt::print("would undo {} (by hand: {})\n", actuate::describe(intent->change),
                 actuate::undo_by_hand(intent->change));
    }
    return 0;
  }
  bool failed = false;
  for (const actuate::Outcome& outcome : actuator.undo_all()) {
    failed = failed || outcome.result == actuate::UndoResult::kFailed;
    fmt::print("{}\n", outcome.text);
  }
  return failed ? 1 : 0;
}

}  // namespace epulse::cli
