#pragma once

#include <cstdint>
#include <string>

#include "tools/load/counters.hpp"
#include "tools/load/options.hpp"

namespace epulse::load {

// The counters of all threads together.
struct Totals {
  std::uint64_t sent = 0;
  std::uint64_t received = 0;
  std::uint64_t received_in_time = 0;  // of these, before the end: what the rate is made of
  std::uint64_t connected = 0;
  std::uint64_t opened = 0;
  std::uint64_t compressed = 0;  // of these, with permessage-deflate
  ErrorCounts errors{};
  Distribution latency;
  Distribution lag;

  void add(const Counters& counters);
  std::uint64_t error_total() const;
};

struct Interval {
  double end_s = 0;  // since the start
  double length_s = 0;
  std::uint64_t messages = 0;
  std::uint64_t connected = 0;
  std::uint64_t errors = 0;  // in this interval
  Distribution latency;
};

// "85 us", "1.23 ms", "4.5 s".
std::string duration_text(std::uint64_t ns);

std::string interval_text(const Interval& interval);
std::string interval_json(const Interval& interval);

std::string summary_text(const Options& options, const Totals& totals, double elapsed_s);
std::string summary_json(const Options& options, const Totals& totals, double elapsed_s);

// Whether the generator itself is to blame for a good part of the latency it reports.
bool generator_was_late(const Totals& totals);

}  // namespace epulse::load
