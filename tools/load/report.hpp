#pragma once

#include <string>
#include <string_view>

#include "tools/load/options.hpp"
#include "tools/load/result.hpp"

namespace epulse::load {

std::string interval_text(const Interval& interval);
std::string interval_json(const Interval& interval);

std::string summary_text(const Options& options, const Result& result);
std::string summary_json(const Options& options, const Result& result);

// As "mode" has it.
std::string_view mode_name(const Options& options);

}  // namespace epulse::load
