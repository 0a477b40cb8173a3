#pragma once

#include <sys/types.h>

#include "common/unique_fd.hpp"

namespace epulse::actuate {

// The right to change a process, which one epulsed at a time has, whatever its state directory is:
// two that undo what the other has done would never come to an end.
struct Claim {
  UniqueFd held;          // gives it back
  bool is_taken = false;  // by another
};
Claim claim(pid_t pid);

}  // namespace epulse::actuate
