#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "agent/model/histogram.hpp"
#include "bpf/uring.h"

// What the io_uring probe counts, per user: one thread on one ring.
namespace epulse::model {

// Names as reports show them.
inline constexpr std::array<std::string_view, URING_STAGES> kUringStageNames{
    "submit to complete", "complete to return", "complete to reap"};
inline constexpr std::array<std::string_view, URING_ITEMS> kUringItemsNames{
    "SQ occupancy", "CQ when posted", "CQ when returned", "reaped at once"};
inline constexpr std::array<std::string_view, URING_COUNTERS> kUringCounterNames{
    "submissions", "rejected",    "completions", "further", "untimed",       "overflows",
    "SQ dropped",  "io-wq punts", "enters",      "waits",   "untimed reaps", "invalid"};

struct RingUserKey {
  uint64_t ring_id = 0;
  uint32_t tid = 0;
  uint64_t first_seen_ns = 0;  // tells a reused tid or ring address from the first
  auto operator<=>(const RingUserKey&) const = default;
};

struct RingUserStats {
  RingUserKey key;
  int32_t fd = -1;  // of the ring; -1: not seen
  uint32_t setup_flags = 0;
  uint32_t sq_entries = 0;
  uint32_t cq_entries = 0;
  std::array<uint64_t, URING_COUNTERS> counters{};
  std::array<Histogram, URING_STAGES> stages{Histogram(kNsShape), Histogram(kNsShape),
                                             Histogram(kNsShape)};
  std::array<Histogram, URING_ITEMS> items{Histogram(kItemsShape), Histogram(kItemsShape),
                                           Histogram(kItemsShape), Histogram(kItemsShape)};

  static RingUserStats from_raw(const uring_user_stats& raw);
  RingUserStats since(const RingUserStats& earlier) const;
  void merge(const RingUserStats& other);

  // False when nothing has happened.
  bool active() const;
};

// Losses in the kernel. Shown in every report when not zero.
struct UringLosses {
  uint64_t rings_dropped = 0;     // events of rings that found no room
  uint64_t users_dropped = 0;     // events of threads that found no room
  uint64_t requests_dropped = 0;  // submissions that found no room
  uint64_t runs_missed = 0;       // events that a program was not run for (ProgramCost::missed)
  bool any() const { return (rings_dropped | users_dropped | requests_dropped | runs_missed) != 0; }
  UringLosses since(const UringLosses& earlier) const;
};

// Since the probe was attached, or (as UringIntervals makes it) since the snapshot before.
struct UringSnapshot {
  uint64_t time_ns = 0;
  uint64_t duration_ns = 0;
  std::vector<RingUserStats> users;
  UringLosses losses;
};

// Turns cumulative snapshots into intervals.
class UringIntervals {
 public:
  explicit UringIntervals(uint64_t start_ns) : last_time_ns_(start_ns) {}
  UringSnapshot advance(const UringSnapshot& cumulative);

 private:
  uint64_t last_time_ns_;
  UringLosses last_losses_;
  std::map<RingUserKey, RingUserStats> last_;
};

// Sums intervals, so that users that ended stay in the total.
class UringTotal {
 public:
  void add(const UringSnapshot& interval);
  const UringSnapshot& total() const { return total_; }

 private:
  UringSnapshot total_;
};

// How the ring was set up, of what changes who does the work: "SQPOLL", "DEFER_TASKRUN", "IOPOLL",
// joined by commas; "-" when none.
std::string ring_mode(uint32_t setup_flags);

}  // namespace epulse::model
