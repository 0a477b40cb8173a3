#pragma once

#include <string>

namespace epulse::actuate {

enum class UndoResult {
  kRestored,
  kGone,       // the target has ended: there is nothing to restore
  kStoodDown,  // somebody else changed it since: theirs stays
  kFailed,     // it stays in the journal
};

// What a change's target has now.
enum class Standing {
  kGone,    // it has ended
  kOld,     // the value from before the change
  kNew,     // what the change has set, also where the kernel shows less of it for the moment
  kOthers,  // what somebody else has set
};

struct Undone {
  UndoResult result = UndoResult::kRestored;
  std::string text;  // what is said of the target: "CPUs 0 -> 1 restored"
};

}  // namespace epulse::actuate
