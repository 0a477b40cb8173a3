#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "common/json_line.hpp"
#include "tools/load/options.hpp"
#include "tools/load/result.hpp"

namespace epulse::load {

std::string_view name_of(Verdict verdict);

// One step of the rate, or one probe, on one line without its end.
std::string step_text(const Result& step);
// Its members.
void add_step(JsonLine& line, const Result& step);

// What a ramp found, on one line without its end.
std::string ramp_text(const Options& options, const RampEnd& ramp);
// null when there was none.
void add_ramp(JsonLine& line, const Options& options, const std::optional<RampEnd>& ramp);

// What it shares with the summary of a load and its intervals.

inline double us(std::uint64_t ns) {
  return static_cast<double>(ns) / 1e3;
}

// "1.2 ms"; "-" of nothing that was received. 1 is the longest.
std::string latency_text(const Distribution& latency, double share);

// "  closed 2  lost 5", of kinds that there are.
std::string kinds_text(const ErrorCounts& errors);
void add_kinds(JsonLine& line, std::string_view name, const ErrorCounts& errors);
void add_unsound(JsonLine& line, const Result& result);

}  // namespace epulse::load
