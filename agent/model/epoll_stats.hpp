#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "agent/model/histogram.hpp"
#include "bpf/epoll.h"

// What the epoll probe counts, per worker: one thread on one epoll instance.
namespace epulse::model {

// Names as reports show them and files store their order.
inline constexpr std::array<std::string_view, EPOLL_STAGES> kStageNames{
    "ready to woken", "woken to running", "running to delivered", "ready to delivered", "handler"};
inline constexpr std::array<std::string_view, EPOLL_ITEMS> kItemsNames{
    "depth listed", "depth fresh", "backlog left", "batch"};
inline constexpr std::array<std::string_view, EPOLL_COUNTERS> kCounterNames{
    "waits",   "deliveries",     "saturated", "timeouts",     "errors",
    "wakeups", "empty wake-ups", "untimed",   "unseen depth", "invalid"};

struct WorkerKey {
  uint64_t epoll_id = 0;
  uint32_t tid = 0;
  int32_t epfd = -1;
  uint64_t first_seen_ns = 0;  // tells a reused tid or instance address from the first
  uint32_t tgid = 0;           // 0: not known (recordings of before there could be several)
  auto operator<=>(const WorkerKey&) const = default;
};

struct WorkerStats {
  WorkerKey key;
  uint32_t max_events = 0;
  std::array<uint64_t, EPOLL_COUNTERS> counters{};
  std::array<Histogram, EPOLL_STAGES> stages{Histogram(kNsShape), Histogram(kNsShape),
                                             Histogram(kNsShape), Histogram(kNsShape),
                                             Histogram(kNsShape)};
  std::array<Histogram, EPOLL_ITEMS> items{Histogram(kItemsShape), Histogram(kItemsShape),
                                           Histogram(kItemsShape), Histogram(kItemsShape)};

  static WorkerStats from_raw(const epoll_worker_stats& raw);
  WorkerStats since(const WorkerStats& earlier) const;
  void merge(const WorkerStats& other);

  uint64_t waits() const { return counters[EPOLL_COUNTER_WAITS]; }
  uint64_t events() const { return items[EPOLL_ITEMS_BATCH].sum(); }
  bool operator==(const WorkerStats&) const = default;
};

// Losses, in the kernel or on the way out. Shown in every report when not zero.
struct EpollLosses {
  uint64_t waits_dropped = 0;      // single records: ring buffer full, or malformed
  uint64_t workers_dropped = 0;    // epoll_wait calls of threads that found no room
  uint64_t instances_dropped = 0;  // ... on instances that found no room
  uint64_t targets_dropped = 0;    // processes that found no room
  uint64_t runs_missed = 0;        // events that a program was not run for (ProgramCost::missed)
  std::vector<uint64_t> waits_dropped_by_cpu = {};  // for a full ring buffer; absent: none
  bool any() const {
    return (waits_dropped | workers_dropped | instances_dropped | targets_dropped | runs_missed) !=
           0;
  }
  EpollLosses since(const EpollLosses& earlier) const;
  void add(const EpollLosses& other);
  bool operator==(const EpollLosses&) const = default;
};

// One line for each kind that is not zero: "12 single records (ring buffer full, ...".
std::vector<std::string> texts_of(const EpollLosses& losses);

// Since the probe was attached, or (as EpollIntervals makes it) since the snapshot before.
struct EpollSnapshot {
  uint64_t time_ns = 0;
  uint64_t duration_ns = 0;
  // So long was everything measured; else waits, events and batches alone, to keep to a budget.
  uint64_t detailed_ns = 0;
  std::vector<WorkerStats> workers;
  EpollLosses losses;
  bool operator==(const EpollSnapshot&) const = default;
};

// Turns cumulative snapshots into intervals.
class EpollIntervals {
 public:
  explicit EpollIntervals(uint64_t start_ns) : last_time_ns_(start_ns) {}
  EpollSnapshot advance(const EpollSnapshot& cumulative);

 private:
  uint64_t last_time_ns_;
  uint64_t last_detailed_ns_ = 0;
  EpollLosses last_losses_;
  std::map<WorkerKey, WorkerStats> last_;
};

// Sums intervals, so that workers that ended stay in the total: kWorkersMax of them (some 60 KB
// each). The waits of more count as workers_dropped.
class EpollTotal {
 public:
  static constexpr size_t kWorkersMax = 4096;

  void add(const EpollSnapshot& interval);
  const EpollSnapshot& total() const { return total_; }

 private:
  EpollSnapshot total_;
  std::map<WorkerKey, size_t> places_;  // in total_.workers
};

}  // namespace epulse::model
