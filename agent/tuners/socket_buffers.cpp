#include "agent/tuners/socket_buffers.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "agent/model/by_hand.hpp"

namespace epulse::tuners {
namespace {

// Samples in a row: of a healthy connection one in 150 may find the buffer full by chance, and with
// two in a row one connection in a hundred would be changed within ten minutes.
constexpr int kPressedMin = 3;

const char* side_name(model::BufferSide side) {
  return side == model::BufferSide::kReceive ? "receive" : "send";
}

}  // namespace

std::vector<SocketBufferProposal> SocketBufferTuner::step(
    std::span<const model::SocketSample> samples, uint64_t now_ns) {
  std::vector<SocketBufferProposal> proposals;
  std::set<uint64_t> alive;
  for (const model::SocketSample& sample : samples) {
    // Two descriptors of one socket are one buffer.
    if (!alive.insert(sample.inode).second) continue;
    judge(sample, model::BufferSide::kReceive, now_ns, proposals);
    judge(sample, model::BufferSide::kSend, now_ns, proposals);
  }
  std::erase_if(memory_, [&](const auto& entry) { return !alive.contains(entry.first.first); });
  return proposals;
}

void SocketBufferTuner::judge(const model::SocketSample& sample, model::BufferSide side,
                              uint64_t now_ns, std::vector<SocketBufferProposal>& proposals) {
  const bool receive = side == model::BufferSide::kReceive;
  const uint64_t used = receive ? sample.rmem_alloc_bytes : sample.wmem_queued_bytes;
  const uint64_t size = receive ? sample.rcvbuf_bytes : sample.sndbuf_bytes;
  const uint64_t ceiling = receive ? limits_.rcvbuf_max_bytes : limits_.sndbuf_max_bytes;
  if (size == 0) return;

  Memory& memory = memory_[{sample.inode, side}];
  const double share = static_cast<double>(used) / static_cast<double>(size);
  memory.pressed = share >= limits_.pressure_share ? std::min(memory.pressed + 1, kPressedMin) : 0;
  if (memory.pressed < kPressedMin || now_ns < memory.not_before_ns || size >= ceiling) return;

  // Even, so that the kernel, which doubles what it is given, reports exactly this.
  const uint64_t wanted = std::max(size > ceiling / 2 ? ceiling : size * 2, limits_.floor_bytes);
  const uint64_t target = std::min(wanted, ceiling) & ~uint64_t{1};
  if (target <= size) return;

  memory.pressed = 0;
  memory.not_before_ns = now_ns + limits_.cooldown_ns;
  proposals.push_back(proposal_for(sample, side, target));
}

SocketBufferProposal SocketBufferTuner::proposal_for(const model::SocketSample& sample,
                                                     model::BufferSide side,
                                                     uint64_t target_bytes) const {
  const bool receive = side == model::BufferSide::kReceive;
  const uint64_t used = receive ? sample.rmem_alloc_bytes : sample.wmem_queued_bytes;
  const uint64_t size = receive ? sample.rcvbuf_bytes : sample.sndbuf_bytes;
  const uint64_t ceiling = receive ? limits_.rcvbuf_max_bytes : limits_.sndbuf_max_bytes;
  const double share = static_cast<double>(used) / static_cast<double>(size);
  SocketBufferProposal proposal;
  proposal.scenario = receive ? "socket_buffers.receive-full" : "socket_buffers.send-full";
  proposal.target =
      fmt::format("{} buffer of fd {} of process {}", side_name(side), sample.fd, pid_);
  proposal.evidence = fmt::format(
      "the {} buffer of fd {} was {:.0f} % full ({} of {} bytes) in {} samples in a row (limit "
      "{:.0f} %)",
      side_name(side), sample.fd, share * 100, used, size, kPressedMin,
      limits_.pressure_share * 100);
  proposal.figures = {{"used_share", share, limits_.pressure_share},
                      {"used_bytes", static_cast<double>(used)},
                      {"size_bytes", static_cast<double>(size)}};
  proposal.expected = fmt::format(
      "the same backlog fills {:.0f} % of {} bytes",
      static_cast<double>(used) / static_cast<double>(target_bytes) * 100, target_bytes);
  proposal.by_hand = model::socket_buffer_by_hand(pid_, sample.fd, side, target_bytes);
  proposal.bounds = fmt::format("{} to {} bytes; at most once in {} s", limits_.floor_bytes,
                                ceiling, limits_.cooldown_ns / 1'000'000'000);
  proposal.sample = sample;
  proposal.side = side;
  proposal.from_bytes = size;
  proposal.to_bytes = target_bytes;
  return proposal;
}

}  // namespace epulse::tuners
