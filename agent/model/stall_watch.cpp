#include "agent/model/stall_watch.hpp"

#include <algorithm>

namespace epulse::model {
namespace {

// A look visits every open file of the target: some 0.1 us each.
constexpr uint64_t kBetweenLooksNs = 2'000'000'000;

}  // namespace

bool StallWatch::wants_look(const std::set<uint64_t>& active, uint64_t now_ns) const {
  if (now_ns < next_look_ns_) return false;
  return loops_.empty() || std::any_of(loops_.begin(), loops_.end(), [&](const auto& entry) {
           return !active.contains(entry.first);
         });
}

void StallWatch::look(std::span<const LoopLook> found, const std::set<uint64_t>& active,
                      uint64_t now_ns) {
  next_look_ns_ = now_ns + kBetweenLooksNs;
  std::map<uint64_t, Loop> loops;
  for (const LoopLook& one : found) {
    Loop loop = loops_[one.epoll_id];
    loop.epfd = one.epfd;
    loop.depth = one.depth;
    const bool served = one.depth <= 0 || one.waiters > 0 || active.contains(one.epoll_id);
    if (served) {
      loop.since_ns = 0;
    } else if (loop.since_ns == 0) {
      loop.since_ns = now_ns;
    }
    loops[one.epoll_id] = loop;
  }
  loops_ = std::move(loops);
}

std::vector<LoopStall> StallWatch::stalls(const std::set<uint64_t>& active, uint64_t now_ns) {
  std::vector<LoopStall> all;
  for (auto& [id, loop] : loops_) {
    if (active.contains(id)) {
      loop.has_turned = true;
      loop.since_ns = 0;
    }
    const bool counts = loop.since_ns != 0 && (loop.has_turned || active.empty());
    const double seconds = counts ? static_cast<double>(now_ns - loop.since_ns) / 1e9 : 0;
    all.push_back({id, loop.epfd, loop.depth, seconds});
  }
  return all;
}

}  // namespace epulse::model
