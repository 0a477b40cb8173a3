#include "agent/tuners/server_batch.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <utility>

#include "agent/model/by_hand.hpp"
#include "agent/tuners/improvement.hpp"

namespace epulse::tuners {
namespace {

constexpr size_t kIntervalsMin = 3;
constexpr uint64_t kDeliveriesMin = 100;  // of a worker in an interval: fewer say nothing
constexpr uint64_t kCooldownMaxNs = 5'100'000'000'000;  // 85 min, as affinity's

double saturated_share(const model::WorkerStats& worker) {
  return static_cast<double>(worker.counters[EPOLL_COUNTER_SATURATED]) /
         static_cast<double>(worker.counters[EPOLL_COUNTER_DELIVERIES]);
}

// What is left behind must be a good part of what is taken: to come back for a few is cheap.
bool leaves_much(const model::WorkerStats& worker) {
  const double left = worker.items[EPOLL_ITEMS_LEFT].mean();
  return left >= std::max(1.0, static_cast<double>(worker.max_events) / 4);
}

model::Histogram ready_to_delivered(const model::EpollSnapshot& interval) {
  model::Histogram sum(model::kNsShape);
  for (const model::WorkerStats& worker : interval.workers) {
    sum.merge(worker.stages[EPOLL_STAGE_READY_TO_DELIVERED]);
  }
  return sum;
}

}  // namespace

ServerBatchTuner::Decision ServerBatchTuner::step(const model::EpollSnapshot& interval,
                                                  uint64_t now_ns) {
  if (watching_) return verify(interval, now_ns);
  if (interval.detailed_ns == 0) return {};
  auto proposal = propose(interval, now_ns);
  if (!proposal) return {};
  return *std::move(proposal);
}

const model::WorkerStats* ServerBatchTuner::fullest(const model::EpollSnapshot& interval) const {
  const model::WorkerStats* found = nullptr;
  for (const model::WorkerStats& worker : interval.workers) {
    if (worker.counters[EPOLL_COUNTER_DELIVERIES] < kDeliveriesMin || worker.max_events == 0 ||
        worker.max_events >= limits_.batch_max || !leaves_much(worker) ||
        saturated_share(worker) < limits_.saturated_share) {
      continue;
    }
    if (found == nullptr || saturated_share(worker) > saturated_share(*found)) found = &worker;
  }
  return found;
}

std::optional<ServerBatchProposal> ServerBatchTuner::propose(const model::EpollSnapshot& interval,
                                                             uint64_t now_ns) {
  const model::WorkerStats* const worker = fullest(interval);
  if (worker == nullptr) {
    full_.clear();
    return {};
  }
  full_.push_back(ready_to_delivered(interval));
  if (full_.size() > kIntervalsMin) full_.pop_front();
  if (full_.size() < kIntervalsMin || now_ns < not_before_ns_) return {};
  before_ = model::Histogram(model::kNsShape);
  for (const model::Histogram& one : full_) before_.merge(one);
  not_before_ns_ = now_ns + cooldown_ns_;
  cooldown_ns_ = std::min(2 * cooldown_ns_, kCooldownMaxNs);
  // As many as were there at once, so that one step suffices.
  const auto depth = static_cast<uint32_t>(
      std::min<uint64_t>(worker->items[EPOLL_ITEMS_LISTED].quantile(0.99), limits_.batch_max));
  const uint32_t wanted = std::bit_ceil(std::max(depth, 2 * worker->max_events));
  ServerBatchProposal proposal = proposal_for(*worker, std::min(wanted, limits_.batch_max));
  proposed_ = proposal.target;
  return proposal;
}

ServerBatchProposal ServerBatchTuner::proposal_for(const model::WorkerStats& worker,
                                                   uint32_t target) const {
  const double share = saturated_share(worker);
  const double left = worker.items[EPOLL_ITEMS_LEFT].mean();
  ServerBatchProposal proposal;
  proposal.scenario = "server_buffers.small-batch";
  proposal.target = fmt::format("epoll batch of process {}", control_.pid);
  proposal.evidence = fmt::format(
      "{:.0f} % of the batches of thread {} were full ({} events, limit {:.0f} %) and left {:.0f} "
      "ready descriptors behind, in {} intervals in a row",
      share * 100, worker.key.tid, worker.max_events, limits_.saturated_share * 100, left,
      kIntervalsMin);
  proposal.figures = {
      {"saturated_share", share, limits_.saturated_share},
      {"left_mean", left},
      {"batch", static_cast<double>(worker.max_events)},
      {"ready_to_delivered_us_p99", static_cast<double>(before_.quantile(0.99)) / 1000}};
  proposal.expected = fmt::format(
      "fewer turns of the loop for the same events: ready to delivered falls by {:.0f} % at p99, "
      "or it is undone",
      limits_.improvement_min * 100);
  proposal.by_hand = control_.is_bundled
                         ? model::setting_by_hand(control_.socket, "epoll-batch", target)
                         : fmt::format(
                               "epoll_wait with maxevents {}, in the server's code or "
                               "configuration (nginx: events {{ epoll_events {}; }})",
                               target, target);
  proposal.bounds = fmt::format("up to {} events; at most once in {} s", limits_.batch_max,
                                limits_.cooldown_ns / 1'000'000'000);
  proposal.from = worker.max_events;
  proposal.to = target;
  return proposal;
}

std::vector<std::string> ServerBatchTuner::standing() const {
  if (proposed_.empty() || full_.empty()) return {};
  return {proposed_};
}

void ServerBatchTuner::applied(uint64_t now_ns) {
  watching_ = settling_ = true;
  since_ns_ = now_ns;
  after_ = model::Histogram(model::kNsShape);
}

ServerBatchTuner::Decision ServerBatchTuner::verify(const model::EpollSnapshot& interval,
                                                    uint64_t now_ns) {
  // In the first interval what had piled up before is worked off; one without detail adds nothing.
  if (!std::exchange(settling_, false)) after_.merge(ready_to_delivered(interval));
  const uint64_t watched_ns = now_ns - since_ns_;
  if (watched_ns < limits_.verify_ns) return {};
  const Improvement improvement = compare_p99(before_, after_, limits_.improvement_min);
  std::string text = "ready to delivered: " + improvement.text;
  if (improvement.kind == Improvement::Kind::kProven) return conclude(true, text, now_ns);
  if (improvement.kind == Improvement::Kind::kUnclear &&
      watched_ns < kPatience * limits_.verify_ns) {
    return {};
  }
  return conclude(false, text, now_ns);
}

ServerBatchTuner::Decision ServerBatchTuner::conclude(bool keep, std::string evidence,
                                                      uint64_t now_ns) {
  watching_ = false;
  full_.clear();
  if (!keep) cooldown_ns_ = std::min(2 * cooldown_ns_, kCooldownMaxNs);
  not_before_ns_ = now_ns + cooldown_ns_;
  return ServerBatchVerdict{keep, std::move(evidence)};
}

}  // namespace epulse::tuners
