#pragma once

namespace epulse::actuate {

// Locks the open file for us alone (flock(2)). Who only looks whether it is locked, or is about to
// end, holds it for a moment: tried for a tenth of a second. False, with errno, when it cannot be;
// EWOULDBLOCK: somebody has it.
bool lock(int fd);

}  // namespace epulse::actuate
