#include "tools/load/mark.hpp"

#include <utility>

namespace epulse::load {
namespace {

std::vector<ThreadUse> uses_between(const Mark& begin, const Mark& end) {
  const auto elapsed_ns = static_cast<double>(end.taken_ns - begin.taken_ns);
  std::vector<ThreadUse> uses;
  if (begin.threads.size() != end.threads.size() || elapsed_ns == 0) return uses;
  for (std::size_t k = 0; k < end.threads.size(); ++k) {
    const SchedulerTimes& before = begin.threads[k];
    const SchedulerTimes& after = end.threads[k];
    uses.push_back({static_cast<double>(after.running_ns - before.running_ns) / elapsed_ns,
                    static_cast<double>(after.waiting_ns - before.waiting_ns) / elapsed_ns});
  }
  return uses;
}

}  // namespace

Result between(const Mark& begin, const Mark& end, Totals totals) {
  Result result;
  result.totals = std::move(totals);
  result.totals.received_in_time = end.received - begin.received;
  result.elapsed_s = static_cast<double>(end.ns - begin.ns) / 1e9;
  result.start_ns = begin.ns;
  result.threads = uses_between(begin, end);
  return result;
}

}  // namespace epulse::load
