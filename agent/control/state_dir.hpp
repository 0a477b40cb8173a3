#pragma once

#include <sys/types.h>

#include <optional>
#include <string>

namespace epulse::control {

// Makes the state directory where there is none, and lets the members of `group` (empty: nobody
// else) look for our socket in it. Returns the group's id. Throws Error.
std::optional<gid_t> prepare_state_dir(const std::string& path, const std::string& group);

}  // namespace epulse::control
