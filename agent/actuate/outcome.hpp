#pragma once

#include <string>

namespace epulse::actuate {

enum class UndoResult {
  kRestored,
  kGone,       // the target has ended: there is nothing to restore
  kStoodDown,  // somebody else changed it since: theirs stays
  kFailed,     // it stays in the journal
};

struct Undone {
  UndoResult result = UndoResult::kRestored;
  std::string text;  // what is said of the target: "CPU mask 0 -> 1 restored"
};

}  // namespace epulse::actuate
