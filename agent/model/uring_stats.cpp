#include "agent/model/uring_stats.hpp"

#include <algorithm>
#include <utility>

namespace epulse::model {

RingUserStats RingUserStats::from_raw(const uring_user_stats& raw) {
  RingUserStats stats;
  stats.key = {raw.ring_id, raw.tid, raw.first_seen_ns};
  stats.fd = raw.fd;
  stats.setup_flags = raw.setup_flags;
  stats.sq_entries = raw.sq_entries;
  stats.cq_entries = raw.cq_entries;
  std::copy(std::begin(raw.counters), std::end(raw.counters), stats.counters.begin());
  for (size_t i = 0; i < stats.stages.size(); ++i) {
    const auto& from = raw.stages[i];
    stats.stages[i] = Histogram::live(kNsShape, from.sum, from.max, from.slots);
  }
  for (size_t i = 0; i < stats.items.size(); ++i) {
    const auto& from = raw.items[i];
    stats.items[i] = Histogram::live(kItemsShape, from.sum, from.max, from.slots);
  }
  return stats;
}

RingUserStats RingUserStats::since(const RingUserStats& earlier) const {
  RingUserStats change = *this;
  for (size_t i = 0; i < counters.size(); ++i) change.counters[i] -= earlier.counters[i];
  for (size_t i = 0; i < stages.size(); ++i) change.stages[i] = stages[i].since(earlier.stages[i]);
  for (size_t i = 0; i < items.size(); ++i) change.items[i] = items[i].since(earlier.items[i]);
  return change;
}

void RingUserStats::merge(const RingUserStats& other) {
  for (size_t i = 0; i < counters.size(); ++i) counters[i] += other.counters[i];
  for (size_t i = 0; i < stages.size(); ++i) stages[i].merge(other.stages[i]);
  for (size_t i = 0; i < items.size(); ++i) items[i].merge(other.items[i]);
}

bool RingUserStats::active() const {
  return std::any_of(counters.begin(), counters.end(), [](uint64_t n) { return n != 0; }) ||
         items[URING_ITEMS_REAPED].count() != 0;
}

UringLosses UringLosses::since(const UringLosses& earlier) const {
  return {rings_dropped - earlier.rings_dropped, users_dropped - earlier.users_dropped,
          requests_dropped - earlier.requests_dropped, runs_missed - earlier.runs_missed};
}

UringSnapshot UringIntervals::advance(const UringSnapshot& cumulative) {
  UringSnapshot interval;
  interval.time_ns = cumulative.time_ns;
  interval.duration_ns = cumulative.time_ns - last_time_ns_;
  interval.losses = cumulative.losses.since(last_losses_);
  std::map<RingUserKey, RingUserStats> seen;
  for (const RingUserStats& user : cumulative.users) {
    const auto before = last_.find(user.key);
    interval.users.push_back(before == last_.end() ? user : user.since(before->second));
    seen.emplace(user.key, user);
  }
  last_time_ns_ = cumulative.time_ns;
  last_losses_ = cumulative.losses;
  last_ = std::move(seen);
  return interval;
}

void UringTotal::add(const UringSnapshot& interval) {
  total_.time_ns = interval.time_ns;
  total_.duration_ns += interval.duration_ns;
  total_.losses.rings_dropped += interval.losses.rings_dropped;
  total_.losses.users_dropped += interval.losses.users_dropped;
  total_.losses.requests_dropped += interval.losses.requests_dropped;
  total_.losses.runs_missed += interval.losses.runs_missed;
  for (const RingUserStats& user : interval.users) {
    const auto known = std::find_if(total_.users.begin(), total_.users.end(),
                                    [&](const RingUserStats& u) { return u.key == user.key; });
    if (known == total_.users.end()) {
      total_.users.push_back(user);
    } else {
      known->merge(user);
    }
  }
}

std::string ring_mode(uint32_t setup_flags) {
  // include/uapi/linux/io_uring.h, IORING_SETUP_
  constexpr std::array<std::pair<uint32_t, std::string_view>, 3> kModes{
      {{1U << 0, "IOPOLL"}, {1U << 1, "SQPOLL"}, {1U << 13, "DEFER_TASKRUN"}}};
  std::string text;
  for (const auto& [flag, name] : kModes) {
    if ((setup_flags & flag) == 0) continue;
    if (!text.empty()) text += ',';
    text += name;
  }
  return text.empty() ? "-" : text;
}

}  // namespace epulse::model
