#include "agent/tuners/socket_watch.hpp"

namespace epulse::tuners {

void SocketWatch::look(std::span<const model::SocketSample> samples, uint64_t now_ns) {
  std::map<uint64_t, Seen> seen;
  for (const model::SocketSample& sample : samples) {
    const auto before = last_.find(sample.inode);
    if (before == last_.end() || seen.contains(sample.inode)) continue;
    const bool comparable = before->second.at_ns != 0 && now_ns > before->second.at_ns;
    if (comparable) compare(before->second, sample, now_ns);
    seen[sample.inode] = {sample, now_ns};
  }
  last_ = std::move(seen);
}

void SocketWatch::compare(const Seen& before, const model::SocketSample& now, uint64_t now_ns) {
  const bool receive = side_ == model::BufferSide::kReceive;
  const model::SocketSample& then = before.sample;
  const uint64_t moved =
      receive ? now.received_bytes - then.received_bytes : now.acked_bytes - then.acked_bytes;
  const uint64_t used = receive ? now.rmem_alloc_bytes : now.wmem_queued_bytes;
  const uint64_t size = receive ? now.rcvbuf_bytes : now.sndbuf_bytes;
  // What was dropped meanwhile found it full, too; one that holds no segment is full always.
  const bool is_full =
      (used > 0 && static_cast<double>(used) >= pressure_share_ * static_cast<double>(size)) ||
      (receive && (now.drops != then.drops || now.is_below_a_segment()));
  const bool has_traffic = moved != 0 || used != 0 || now.drops != then.drops;
  if (has_traffic) ++found_.full.all;
  if (has_traffic && is_full) ++found_.full.bad;
  const double seconds = static_cast<double>(now_ns - before.at_ns) / 1e9;
  found_.bytes_per_s.record(static_cast<uint64_t>(static_cast<double>(moved) / seconds));
}

void SocketWatch::keep(const std::set<uint64_t>& inodes) {
  std::erase_if(last_, [&](const auto& entry) { return !inodes.contains(entry.first); });
}

std::vector<model::SocketSample> SocketWatch::sockets() const {
  std::vector<model::SocketSample> all;
  for (const auto& [inode, seen] : last_) all.push_back(seen.sample);
  return all;
}

}  // namespace epulse::tuners
