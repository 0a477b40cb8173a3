#pragma once

#include <string>
#include <vector>

#include "tools/load/options.hpp"
#include "tools/load/result.hpp"

namespace epulse::load {

// What the errors of a broadcast make likely, and what to do about it; a line each. Empty in other
// modes and where the errors tell nothing.
std::vector<std::string> hints(const Options& options, const Result& result);

}  // namespace epulse::load
