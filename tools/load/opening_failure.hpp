#pragma once

#include <string>
#include <string_view>

#include "tools/load/counters.hpp"
#include "tools/load/target.hpp"

namespace epulse::load {

// One line about a connection that could not be opened: what, on what, why, the likely remedy.
std::string opening_failure(ErrorKind kind, const Target& target, std::string_view why);

}  // namespace epulse::load
