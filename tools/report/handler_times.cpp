#include "tools/report/handler_times.hpp"

#include <algorithm>

namespace epulse::report {

void HandlerTimes::add(uint32_t tid, uint64_t from_ns, uint64_t length_ns) {
  std::vector<Handler>& handlers = threads_[tid];
  const uint64_t before_ns =
      handlers.empty() ? 0 : handlers.back().before_ns + handlers.back().length_ns;
  handlers.push_back({from_ns, length_ns, before_ns});
}

uint64_t HandlerTimes::between(uint32_t tid, uint64_t from_ns, uint64_t to_ns) const {
  const auto thread = threads_.find(tid);
  if (thread == threads_.end() || from_ns >= to_ns) return 0;
  return until(thread->second, to_ns) - until(thread->second, from_ns);
}

uint64_t HandlerTimes::until(const std::vector<Handler>& handlers, uint64_t ns) {
  const auto next =
      std::upper_bound(handlers.begin(), handlers.end(), ns,
                       [](uint64_t at, const Handler& handler) { return at < handler.from_ns; });
  if (next == handlers.begin()) return 0;
  const Handler& last = *(next - 1);
  return last.before_ns + std::min(last.length_ns, ns - last.from_ns);
}

}  // namespace epulse::report
