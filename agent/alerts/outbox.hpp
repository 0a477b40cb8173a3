#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <vector>

#include "agent/alerts/alarm.hpp"

namespace epulse::alerts {

struct OutboxLimits {
  size_t alarms_max = 1024;
  size_t batch_max = 256;
  uint64_t resend_ms = 60'000;
  uint64_t retry_ms_min = 1'000;  // after a failure; twice as long after each further one
  uint64_t retry_ms_max = 30'000;
};

// What a receiver that forgets and may be away is still to be told: what fires again and again,
// what was resolved until it has been heard once. Pure; `now_ms` is monotonic.
class Outbox {
 public:
  explicit Outbox(const OutboxLimits& limits) : limits_(limits) {}

  // Of an alarm that is known (by its id) the newer state counts.
  void put(const Alarm& alarm);

  // Newer readings, by id, of what fires. They are no news: what is said next has them.
  void refresh(const std::map<uint64_t, Reading>& readings);

  // When batch() is to be delivered next: at once when that is in the past. Nullopt: nothing to
  // say.
  std::optional<uint64_t> due_ms() const;

  // What is to be said at `now_ms`: the unsaid in the order of put(), then what is to be repeated;
  // where there is none of both, one that was refused.
  std::vector<Alarm> batch(uint64_t now_ms) const;

  void delivered(const std::vector<Alarm>& batch, uint64_t now_ms);
  void failed(uint64_t now_ms);
  // The receiver is well and will not have this batch: the next is half as large, until the alarm
  // that it does not like is by itself. That one stays, tried again by itself when `retry_ms_max`
  // have passed and nothing else is due. True when this is news of it.
  bool refused(const std::vector<Alarm>& batch, uint64_t now_ms);

  // What is not said yet; nothing is left.
  std::vector<Alarm> take_unsaid();

  size_t unsaid() const;                           // news that the receiver has not heard
  uint64_t lost() const { return lost_; }          // alarms, for want of room
  size_t refused() const;                          // by themselves, and not taken since
  uint64_t failures() const { return failures_; }  // since the last delivery

 private:
  struct Entry {
    Alarm alarm;
    std::optional<uint64_t> said_ms = {};     // in its present state
    std::optional<uint64_t> refused_ms = {};  // likewise
  };

  uint64_t due_ms(const Entry& entry) const;
  void make_room();

  OutboxLimits limits_;
  std::vector<Entry> entries_;
  uint64_t failures_ = 0;
  uint64_t retry_at_ms_ = 0;
  uint64_t lost_ = 0;
  size_t batch_now_ = limits_.batch_max;
  size_t refusals_ = 0;              // since the last delivery
  uint64_t next_refused_at_ms_ = 0;  // one of them after the other
};

}  // namespace epulse::alerts
