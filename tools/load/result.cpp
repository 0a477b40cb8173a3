#include "tools/load/result.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "tools/load/duration_text.hpp"

namespace epulse::load {
namespace {

constexpr std::uint64_t kLagThatMattersNs = 100'000;
// A thread that is ready to run a tenth of the time without running answers late by as much.
constexpr double kWaitingThatMatters = 0.1;
constexpr double kSaturated = 0.95;

std::uint64_t sum_of(const ErrorCounts& errors) {
  return std::accumulate(errors.begin(), errors.end(), std::uint64_t{0});
}

bool is_late_at(const Totals& totals, double share) {
  const std::uint64_t lag = totals.lag.quantile_ns(share);
  return lag > kLagThatMattersNs && lag * 2 > totals.latency.quantile_ns(share);
}

// The first share of those that matter at which the timetable was missed; 0: none.
double late_at(const Result& result) {
  if (is_late_at(result.totals, 0.99)) return 0.99;
  for (const double share : result.asked) {
    if (is_late_at(result.totals, share)) return share;
  }
  return 0;
}

}  // namespace

void Totals::add(const Counters& counters) {
  sent += counters.sent.load(std::memory_order_relaxed);
  received += counters.received.load(std::memory_order_relaxed);
  connected += counters.connected.load(std::memory_order_relaxed);
  opened += counters.opened.load(std::memory_order_relaxed);
  compressed += counters.compressed.load(std::memory_order_relaxed);
  pings += counters.pings.load(std::memory_order_relaxed);
  tls_handshakes += counters.tls_handshakes.load(std::memory_order_relaxed);
  tls_resumed += counters.tls_resumed.load(std::memory_order_relaxed);
  for (std::size_t kind = 0; kind < errors.size(); ++kind) {
    const std::uint64_t count = counters.errors[kind].load(std::memory_order_relaxed);
    errors[kind] += count;
    // These had been taken for lost when later ones came.
    if (kind == index_of(ErrorKind::kOrder)) errors[index_of(ErrorKind::kLost)] -= count;
  }
  counters.latency.add_to(latency);
  counters.lag.add_to(lag);
}

std::uint64_t Totals::error_total() const {
  return sum_of(errors);
}

std::uint64_t Interval::error_total() const {
  return sum_of(errors);
}

double MemoryCost::per_connection() const {
  if (connections == 0) return 0;
  return (static_cast<double>(open_bytes) - static_cast<double>(before_bytes)) /
         static_cast<double>(connections);
}

ThreadUse Result::busiest() const {
  ThreadUse most;
  for (const ThreadUse& thread : threads) {
    most.running = std::max(most.running, thread.running);
    most.waiting = std::max(most.waiting, thread.waiting);
  }
  return most;
}

bool generator_was_late(const Result& result) {
  return late_at(result) != 0;
}

std::vector<std::string> unsound_reasons(const Result& result) {
  std::vector<std::string> reasons;
  if (const double share = late_at(result); share != 0) {
    reasons.push_back(fmt::format("epulse-load itself was late (p{:g} {} behind its timetable)",
                                  share * 100,
                                  duration_text(result.totals.lag.quantile_ns(share))));
  }
  const ThreadUse most = result.busiest();
  if (most.running > kSaturated) {
    reasons.push_back(fmt::format(
        "a thread of epulse-load was saturated ({:.0f} % of a CPU): it was the bottleneck",
        most.running * 100));
  }
  if (most.waiting > kWaitingThatMatters) {
    reasons.push_back(fmt::format(
        "a thread of epulse-load waited for a CPU {:.0f} % of the time: others kept it from one",
        most.waiting * 100));
  }
  return reasons;
}

}  // namespace epulse::load
