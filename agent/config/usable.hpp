#pragma once

#include "agent/config/config.hpp"

namespace epulse::config {

// What the file names must be there: the group of the socket, the program of alerts.exec and the
// directory of alerts.capture. Throws Error that says which is not, and why.
void require_usable(const Config& config);

}  // namespace epulse::config
