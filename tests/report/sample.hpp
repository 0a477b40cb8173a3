#pragma once

#include "tools/report/summary.hpp"

// Recordings made up for the tests of reports.
namespace epulse::report {

inline constexpr uint64_t kSecond = 1'000'000'000;

// A second that ends at `second`, with 1,000 deliveries whose handler takes `handler_ns` and whose
// events waited `latency_ns` in a queue of `depth`.
inline model::EpollSnapshot sample_interval(uint64_t second, uint64_t latency_ns,
                                            uint64_t handler_ns, uint64_t depth = 3) {
  model::EpollSnapshot interval;
  interval.time_ns = second * kSecond;
  interval.duration_ns = interval.detailed_ns = kSecond;
  model::WorkerStats worker;
  worker.key = {0xffff888012345678, 4712, 7, 99, 4711};
  worker.max_events = 128;
  worker.counters[EPOLL_COUNTER_WAITS] = worker.counters[EPOLL_COUNTER_DELIVERIES] = 1000;
  worker.stages[EPOLL_STAGE_READY_TO_WOKEN].record(2'000, 1000);
  worker.stages[EPOLL_STAGE_WOKEN_TO_RUNNING].record(latency_ns / 2, 1000);
  worker.stages[EPOLL_STAGE_RUNNING_TO_DELIVERED].record(3'000, 1000);
  worker.stages[EPOLL_STAGE_READY_TO_DELIVERED].record(latency_ns, 1000);
  worker.stages[EPOLL_STAGE_HANDLER].record(handler_ns, 1000);
  worker.items[EPOLL_ITEMS_LISTED].record(depth, 1000);
  worker.items[EPOLL_ITEMS_BATCH].record(1, 1000);
  interval.workers.push_back(worker);
  return interval;
}

inline const record::ThreadNames kSampleNames{{4711, "server"}, {4712, "worker-1"}};

}  // namespace epulse::report
