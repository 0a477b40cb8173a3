#pragma once

#include "agent/actuate/change.hpp"
#include "agent/actuate/outcome.hpp"

// The system calls behind a SocketBuffer. They throw epulse::Error when one is refused.
namespace epulse::actuate {

// The change as it will be journaled: its old values are read now, because the kernel may have
// tuned the size since it was sampled. A size that was set by somebody must still be the old value.
SocketBuffer prepare(SocketBuffer change);

// Sets the new size and reads it back. When it throws, the old values are in force.
void perform(const SocketBuffer& change);

Standing look(const SocketBuffer& change);

// Gives the kernel its auto-tuning back, too, where it had it.
Undone undo(const SocketBuffer& change);

}  // namespace epulse::actuate
