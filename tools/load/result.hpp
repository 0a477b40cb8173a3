#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "tools/load/counters.hpp"
#include "tools/load/distribution.hpp"
#include "tools/load/process_memory.hpp"
#include "tools/load/rate_search.hpp"
#include "tools/load/thread_use.hpp"

namespace epulse::load {

// The counters of all threads together.
struct Totals {
  std::uint64_t sent = 0;
  std::uint64_t received = 0;
  std::uint64_t received_in_time = 0;  // of these, before the end: what the rate is made of
  std::uint64_t connected = 0;
  std::uint64_t opened = 0;
  std::uint64_t compressed = 0;      // of these, with permessage-deflate
  std::uint64_t pings = 0;           // of the server, answered
  std::uint64_t tls_handshakes = 0;  // done
  std::uint64_t tls_resumed = 0;     // of these, of an earlier session
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
  ErrorCounts errors{};  // in this interval
  Distribution latency;

  std::uint64_t error_total() const;
};

// The memory of the process that --memory-of names.
struct MemoryCost {
  pid_t pid = 0;
  ProcessMemory::Measure measure = ProcessMemory::Measure::kPss;
  std::uint64_t before_bytes = 0;  // the first connection
  std::uint64_t open_bytes = 0;    // when all are
  std::uint64_t connections = 0;   // that made the difference

  // Of each; negative when it has less than before.
  double per_connection() const;
};

// What a ramp found.
struct RampEnd {
  std::optional<double> held;      // the highest rate that held; nothing: none did
  std::optional<double> not_held;  // the lowest that did not; nothing: all held
  bool generator_bound = false;    // that it did not may be the generator's fault
  bool stopped = false;            // by the user, before it was done
  bool lost = false;               // the server could not be reached any more, before it was done
};

// What came of a run.
struct Result {
  Totals totals;
  double elapsed_s = 0;
  std::uint64_t start_ns = 0;           // by CLOCK_MONOTONIC
  double rate_due = 0;                  // messages per second; 0: as answers come
  std::vector<ThreadUse> threads;       // empty: not known here
  std::uint64_t peak_bytes = 0;         // memory of the generator
  std::int64_t realtime_offset_ns = 0;  // at the start: CLOCK_REALTIME less CLOCK_MONOTONIC

  // Of several rates, each that has begun; of a ramp, all its probes; otherwise none.
  std::vector<Result> steps{};
  std::optional<Verdict> verdict{};  // of a probe
  std::optional<RampEnd> ramp{};     // of a ramp
  std::optional<MemoryCost> memory{};
  std::uint64_t connected_at_end = 0;
  // Shares that somebody asks for besides 0.99: by --expect, by --ramp.
  std::vector<double> asked{};

  double rate() const { return per_second(totals.received_in_time); }
  double per_second(std::uint64_t count) const {
    return elapsed_s > 0 ? static_cast<double>(count) / elapsed_s : 0;
  }
  // The thread that ran most, or waited most.
  ThreadUse busiest() const;
};

// Why the latencies are not the server's alone, or the rate not its best; empty when all is well.
std::vector<std::string> unsound_reasons(const Result& result);

// Whether the generator itself is to blame for a good part of the latency it reports.
bool generator_was_late(const Result& result);

}  // namespace epulse::load
