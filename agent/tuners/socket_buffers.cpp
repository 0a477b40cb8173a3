#include "agent/tuners/socket_buffers.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "agent/model/by_hand.hpp"
#include "agent/tuners/improvement.hpp"

namespace epulse::tuners {
namespace {

using model::BufferSide;
using model::SocketSample;

// Surveys in a row: of a healthy connection one in 150 may find the buffer full by chance.
constexpr int kPressedMin = 3;
// Looked at this often, a buffer that is worth a change is full for a good part of them.
constexpr double kFullShareMin = 0.2;  // of those that find traffic
constexpr size_t kWatchedMax = 64;
// In a new receive buffer: the kernel gives half of it, or less, to the window.
constexpr uint64_t kSegmentsMin = 4;
// What had piled up before a change is worked off first.
constexpr uint64_t kSettleNs = 1'000'000'000;
constexpr uint64_t kCooldownMaxNs = 5'100'000'000'000;  // 85 min, as affinity's

const char* side_name(BufferSide side) {
  return side == BufferSide::kReceive ? "receive" : "send";
}

double share(const Tally& tally) {
  return static_cast<double>(tally.bad) / static_cast<double>(tally.all);
}

// More goes through them, or as much and they are less often full. Where less goes through, any
// buffer is emptier, which proves nothing.
Improvement compare(const SocketWatch::Found& before, const SocketWatch::Found& after,
                    double wanted) {
  using Kind = Improvement::Kind;
  Improvement rate = compare_rate(before.bytes_per_s, after.bytes_per_s, wanted);
  if (after.full.all < kValuesMin) {
    return {Kind::kUnclear,
            fmt::format("{} of {} looks since found traffic, {} are needed: there is {} traffic",
                        after.full.all, after.bytes_per_s.count(), kValuesMin,
                        after.full.all == 0 ? "no" : "little")};
  }
  if (rate.kind == Kind::kProven) return rate;
  Improvement full = compare_share(before.full, after.full, wanted, "full");
  const bool less = after.bytes_per_s.mean() < before.bytes_per_s.mean() * (1 - wanted);
  if (full.kind == Kind::kProven && less) {
    return {Kind::kUnclear, full.text + "; but there is less traffic: " + rate.text};
  }
  if (full.kind == Kind::kProven) return full;
  full.text += ", " + rate.text;
  if (rate.kind == Kind::kUnclear) full.kind = Kind::kUnclear;
  return full;
}

}  // namespace

SocketBufferTuner::Buffer SocketBufferTuner::buffer(const SocketSample& sample, BufferSide side,
                                                    uint64_t factor) const {
  const bool receive = side == BufferSide::kReceive;
  Buffer one;
  one.used = receive ? sample.rmem_alloc_bytes : sample.wmem_queued_bytes;
  one.size = receive ? sample.rcvbuf_bytes : sample.sndbuf_bytes;
  one.ceiling = receive ? limits_.rcvbuf_max_bytes : limits_.sndbuf_max_bytes;
  if (one.size == 0 || one.size >= one.ceiling) return one;
  // Even, so that the kernel, which doubles what it is given, reports exactly this.
  const uint64_t wanted =
      std::max(one.size > one.ceiling / factor ? one.ceiling : one.size * factor,
               std::max(limits_.floor_bytes, receive ? kSegmentsMin * sample.segment_bytes : 0));
  const uint64_t target = std::min(wanted, one.ceiling) & ~uint64_t{1};
  if (target > one.size) one.target = target;
  return one;
}

void SocketBufferTuner::survey(std::span<const SocketSample> samples, uint64_t now_ns) {
  if (watch_) return;
  std::vector<const SocketSample*> receive;
  std::vector<const SocketSample*> send;
  std::set<uint64_t> alive;
  for (const SocketSample& sample : samples) {
    // Two descriptors of one socket are one buffer.
    if (!alive.insert(sample.inode).second) continue;
    if (is_pressed(sample, BufferSide::kReceive, now_ns)) receive.push_back(&sample);
    if (is_pressed(sample, BufferSide::kSend, now_ns)) send.push_back(&sample);
  }
  std::erase_if(memory_, [&](const auto& entry) { return !alive.contains(entry.first.first); });
  const auto& more = receive.size() >= send.size() ? receive : send;
  if (more.empty() || now_ns < not_before_ns_) return;
  watch_.emplace(&more == &receive ? BufferSide::kReceive : BufferSide::kSend,
                 limits_.pressure_share);
  for (size_t i = 0; i < std::min(more.size(), kWatchedMax); ++i) watch_->add(*more[i]);
  before_.reset();
  proposed_ = false;
  since_ns_ = now_ns;
}

// For long enough, and something may be done about it.
bool SocketBufferTuner::is_pressed(const SocketSample& sample, BufferSide side, uint64_t now_ns) {
  Memory& memory = memory_[{sample.inode, side}];
  const Buffer one = buffer(sample, side, memory.factor);
  if (one.size == 0) return false;
  const bool dropped =
      side == BufferSide::kReceive && memory.drops.value_or(sample.drops) != sample.drops;
  memory.drops = sample.drops;
  const bool small = side == BufferSide::kReceive && sample.is_below_a_segment();
  const bool full =
      dropped || small ||
      static_cast<double>(one.used) >= limits_.pressure_share * static_cast<double>(one.size);
  memory.full = full;
  memory.pressed = full ? std::min(memory.pressed + 1, kPressedMin) : 0;
  return memory.pressed == kPressedMin && now_ns >= memory.not_before_ns && one.target != 0;
}

std::vector<int> SocketBufferTuner::watched() const {
  std::vector<int> fds;
  if (!watch_) return fds;
  for (const SocketSample& sample : watch_->sockets()) fds.push_back(sample.fd);
  return fds;
}

void SocketBufferTuner::look(std::span<const SocketSample> samples, uint64_t now_ns) {
  if (!watch_) return;
  watch_->look(samples, now_ns);
  if (before_ && now_ns - since_ns_ < kSettleNs) watch_->restart();
}

SocketBufferTuner::Decision SocketBufferTuner::decide(uint64_t now_ns) {
  if (!watch_) return {};
  if (before_) return verify(now_ns);
  if (proposed_) {  // and nothing was done
    give_up(now_ns);
    return {};
  }
  return propose(now_ns);
}

SocketBufferTuner::Decision SocketBufferTuner::propose(uint64_t now_ns) {
  const uint64_t watched_ns = now_ns - since_ns_;
  const Tally& full = watch_->found().full;
  const bool enough = watch_->found().bytes_per_s.count() >= kValuesMin && full.all >= kTallyMin;
  if (watch_->empty() || (!enough && watched_ns >= kPatience * limits_.verify_ns) ||
      (enough && share(full) < kFullShareMin)) {
    give_up(now_ns);
    return {};
  }
  if (!enough || watched_ns < limits_.verify_ns) return {};
  Proposals proposals;
  for (const SocketSample& sample : watch_->sockets()) {
    // The kernel may have enlarged it meanwhile.
    const Buffer one =
        buffer(sample, watch_->side(), memory_[{sample.inode, watch_->side()}].factor);
    if (one.target != 0) {
      proposals.push_back(proposal_for(sample, one));
      memory_[{sample.inode, watch_->side()}].proposed = proposals.back().target;
    }
    rest(sample, now_ns);
  }
  proposed_ = true;
  if (proposals.empty()) give_up(now_ns);
  return proposals.empty() ? Decision{} : Decision{std::move(proposals)};
}

// Until its cooldown is over.
void SocketBufferTuner::rest(const SocketSample& sample, uint64_t now_ns) {
  Memory& memory = memory_[{sample.inode, watch_->side()}];
  memory.cooldown_ns = std::max(memory.cooldown_ns, limits_.cooldown_ns);
  memory.not_before_ns = now_ns + memory.cooldown_ns;
  memory.pressed = 0;
}

void SocketBufferTuner::give_up(uint64_t now_ns) {
  for (const SocketSample& sample : watch_->sockets()) rest(sample, now_ns);
  for (auto& [id, memory] : memory_) {  // nobody has looked meanwhile
    memory.pressed = 0;
    memory.drops.reset();
  }
  watch_.reset();
  before_.reset();
}

std::vector<std::string> SocketBufferTuner::standing() const {
  std::vector<std::string> targets;
  for (const auto& [id, memory] : memory_) {
    if (memory.full && !memory.proposed.empty()) targets.push_back(memory.proposed);
  }
  return targets;
}

void SocketBufferTuner::applied(std::span<const SocketBufferProposal> made, uint64_t now_ns) {
  if (!watch_ || !proposed_ || made.empty()) return;
  std::set<uint64_t> inodes;
  for (const SocketBufferProposal& one : made) inodes.insert(one.sample.inode);
  watch_->keep(inodes);
  before_ = watch_->found();
  watch_->restart();
  since_ns_ = now_ns;
}

SocketBufferTuner::Decision SocketBufferTuner::verify(uint64_t now_ns) {
  if (watch_->empty()) return conclude(false, "the connections were closed", now_ns);
  const uint64_t watched_ns = now_ns - since_ns_;
  if (watched_ns < kSettleNs + limits_.verify_ns) return {};
  const Improvement improvement = compare(*before_, watch_->found(), limits_.improvement_min);
  const bool patient = watched_ns < kSettleNs + kPatience * limits_.verify_ns;
  if (improvement.kind == Improvement::Kind::kUnclear && patient) return {};
  return conclude(improvement.kind == Improvement::Kind::kProven,
                  fmt::format("{} {} buffers: {}", watch_->sockets().size(),
                              side_name(watch_->side()), improvement.text),
                  now_ns);
}

SocketBufferTuner::Decision SocketBufferTuner::conclude(bool keep, std::string evidence,
                                                        uint64_t now_ns) {
  cooldown_ns_ = keep ? limits_.cooldown_ns : std::min(2 * cooldown_ns_, kCooldownMaxNs);
  if (!keep) not_before_ns_ = now_ns + cooldown_ns_;
  for (const SocketSample& sample : watch_->sockets()) {
    Memory& memory = memory_[{sample.inode, watch_->side()}];
    memory.cooldown_ns =
        keep ? limits_.cooldown_ns : std::min(2 * memory.cooldown_ns, kCooldownMaxNs);
    memory.factor = keep ? kFactor : std::min(memory.factor * kFactorGrowth, kFactorMax);
  }
  give_up(now_ns);
  return SocketBufferVerdict{keep, std::move(evidence)};
}

SocketBufferProposal SocketBufferTuner::proposal_for(const SocketSample& sample,
                                                     const Buffer& buffer) const {
  const BufferSide side = watch_->side();
  const bool receive = side == BufferSide::kReceive;
  const Tally& full = watch_->found().full;
  SocketBufferProposal proposal;
  proposal.scenario = receive ? "socket_buffers.receive-full" : "socket_buffers.send-full";
  proposal.target =
      fmt::format("{} buffer of fd {} of process {}", side_name(side), sample.fd, pid_);
  proposal.evidence = fmt::format(
      "the {} buffer of fd {} has {} of {} bytes in use; it was at least {:.0f} % full{} in {} "
      "samples "
      "in a row, and {} buffers were in {:.0f} % of {} closer looks with traffic",
      side_name(side), sample.fd, buffer.used, buffer.size, limits_.pressure_share * 100,
      receive ? ", dropped packets or held no segment," : "", kPressedMin, watch_->sockets().size(),
      share(full) * 100, full.all);
  proposal.figures = {
      {"full_share", share(full), kFullShareMin},
      {"used_bytes", static_cast<double>(buffer.used)},
      {"size_bytes", static_cast<double>(buffer.size)},
      {"bytes_per_s_p50", static_cast<double>(watch_->found().bytes_per_s.quantile(0.5))}};
  proposal.expected = fmt::format(
      "{} of {} bytes are seldom full, or more goes through them: better by {:.0f} %, or it is "
      "undone",
      receive ? "receive buffers" : "send buffers", buffer.target, limits_.improvement_min * 100);
  proposal.by_hand = model::socket_buffer_by_hand(pid_, sample.fd, side, buffer.target);
  proposal.bounds = fmt::format("{} to {} bytes; at most once in {} s", limits_.floor_bytes,
                                buffer.ceiling, limits_.cooldown_ns / 1'000'000'000);
  proposal.sample = sample;
  proposal.side = side;
  proposal.from_bytes = buffer.size;
  proposal.to_bytes = buffer.target;
  return proposal;
}

}  // namespace epulse::tuners
