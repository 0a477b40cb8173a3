#pragma once

#include "agent/actuate/change.hpp"
#include "agent/actuate/outcome.hpp"

// The requests behind a ServerSetting: "get" and "set NAME VALUE" on the control socket of
// epulse-ws. They throw epulse::Error when one is refused, or not answered within a second.
namespace epulse::actuate {

// The change as it will be journaled. The setting must still have the old value.
ServerSetting prepare(const ServerSetting& change);

// When it throws, the value is what it was.
void perform(const ServerSetting& change);

// For a quarter of a second at most.
Standing look(const ServerSetting& change);

Undone undo(const ServerSetting& change);

// Whether the process is gone, or another has its number now: there is nothing left to undo.
bool is_gone(const ServerSetting& change);

}  // namespace epulse::actuate
