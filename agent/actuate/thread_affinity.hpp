#pragma once

#include "agent/actuate/change.hpp"
#include "agent/actuate/outcome.hpp"

// The system calls behind a ThreadAffinity. They throw epulse::Error when one is refused.
namespace epulse::actuate {

// The change as it will be journaled, after checking that the thread is the one meant and that its
// mask is still the old value.
ThreadAffinity prepare(ThreadAffinity change);

// Sets the new mask and reads it back. When it throws, the old mask is in force.
void perform(const ThreadAffinity& change);

Standing look(const ThreadAffinity& change);

Undone undo(const ThreadAffinity& change);

}  // namespace epulse::actuate
