#pragma once

#include <optional>
#include <string>

namespace epulse::targets {

// Asks systemd for a unit's control group ("/system.slice/nginx.service"). Nullopt when it has none
// now (stopped, or no such unit), when the name is none of a unit, or where there is no systemd.
std::optional<std::string> control_group_of_unit(const std::string& unit);

}  // namespace epulse::targets
