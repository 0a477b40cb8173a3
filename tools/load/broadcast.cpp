#include "tools/load/broadcast.hpp"

#include "tools/load/stamp.hpp"

namespace epulse::load {

Publication::Publication(std::uint32_t publisher, const Options& options)
    : awaited_(options.connections), publisher_(publisher), compressible_(options.compression) {
  for (std::uint32_t c = 0; c < options.connections; ++c) leave(c);
}

void Publication::compose(std::span<std::uint8_t> payload, std::uint64_t due_ns) {
  const std::uint64_t sequence = published_[0].load(std::memory_order_relaxed);
  fill_stamped(payload, make_stamp(publisher_, sequence, due_ns), compressible_);
  due_.push_back(due_ns);
  // Before it is sent: who gets it may rely on it.
  published_[0].store(sequence + 1, std::memory_order_release);
}

std::size_t Publication::in_flight() {
  for (; !due_.empty() && all_have(done_); ++done_, seen_ = 0) due_.pop_front();
  return due_.size();
}

// Stops at the first who has not, and goes on from there when asked again.
bool Publication::all_have(std::uint64_t sequence) {
  while (seen_ < awaited_.size() && awaited_[seen_].load(std::memory_order_acquire) > sequence) {
    ++seen_;
  }
  return seen_ == awaited_.size();
}

void Publication::abandon(std::uint64_t now_ns, Counters& counters) const {
  for (const auto& awaited : awaited_) {
    const std::uint64_t next = awaited.load(std::memory_order_acquire);
    for (std::size_t k = 0; k < due_.size(); ++k) {
      if (done_ + k < next) continue;
      counters.error(ErrorKind::kTimeout);
      counters.latency.record(now_ns > due_[k] ? now_ns - due_[k] : 0);
    }
  }
}

Broadcast::Broadcast(const Options& options) {
  for (std::uint32_t p = 0; p < options.publishers; ++p) publications_.emplace_back(p, options);
}

}  // namespace epulse::load
