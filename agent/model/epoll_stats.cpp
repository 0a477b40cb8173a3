#include "agent/model/epoll_stats.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace epulse::model {

WorkerStats WorkerStats::from_raw(const epoll_worker_stats& raw) {
  WorkerStats stats;
  stats.key = {raw.epoll_id, raw.tid, raw.epfd, raw.first_seen_ns, raw.tgid};
  stats.max_events = raw.max_events;
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

WorkerStats WorkerStats::since(const WorkerStats& earlier) const {
  WorkerStats change;
  change.key = key;
  change.max_events = max_events;
  for (size_t i = 0; i < counters.size(); ++i) {
    change.counters[i] = counters[i] - earlier.counters[i];
  }
  for (size_t i = 0; i < stages.size(); ++i) change.stages[i] = stages[i].since(earlier.stages[i]);
  for (size_t i = 0; i < items.size(); ++i) change.items[i] = items[i].since(earlier.items[i]);
  return change;
}

void WorkerStats::merge(const WorkerStats& other) {
  max_events = other.max_events;
  for (size_t i = 0; i < counters.size(); ++i) counters[i] += other.counters[i];
  for (size_t i = 0; i < stages.size(); ++i) stages[i].merge(other.stages[i]);
  for (size_t i = 0; i < items.size(); ++i) items[i].merge(other.items[i]);
}

EpollLosses EpollLosses::since(const EpollLosses& earlier) const {
  EpollLosses change{waits_dropped - earlier.waits_dropped,
                     workers_dropped - earlier.workers_dropped,
                     instances_dropped - earlier.instances_dropped,
                     targets_dropped - earlier.targets_dropped,
                     runs_missed - earlier.runs_missed,
                     waits_dropped_by_cpu};
  for (size_t cpu = 0; cpu < earlier.waits_dropped_by_cpu.size(); ++cpu) {
    change.waits_dropped_by_cpu.at(cpu) -= earlier.waits_dropped_by_cpu[cpu];
  }
  return change;
}

void EpollLosses::add(const EpollLosses& other) {
  waits_dropped += other.waits_dropped;
  workers_dropped += other.workers_dropped;
  instances_dropped += other.instances_dropped;
  targets_dropped += other.targets_dropped;
  runs_missed += other.runs_missed;
  if (waits_dropped_by_cpu.size() < other.waits_dropped_by_cpu.size()) {
    waits_dropped_by_cpu.resize(other.waits_dropped_by_cpu.size());
  }
  for (size_t cpu = 0; cpu < other.waits_dropped_by_cpu.size(); ++cpu) {
    waits_dropped_by_cpu[cpu] += other.waits_dropped_by_cpu[cpu];
  }
}

std::vector<std::string> texts_of(const EpollLosses& losses) {
  std::vector<std::string> texts;
  if (losses.waits_dropped != 0) {
    std::string cpus;
    for (size_t cpu = 0; cpu < losses.waits_dropped_by_cpu.size(); ++cpu) {
      if (losses.waits_dropped_by_cpu[cpu] == 0) continue;
      cpus += fmt::format("{}{} on CPU {}", cpus.empty() ? ": " : ", ",
                          losses.waits_dropped_by_cpu[cpu], cpu);
    }
    texts.push_back(fmt::format(
        "{} single records (ring buffer full, or malformed{}); the histograms are complete",
        losses.waits_dropped, cpus));
  }
  const auto add = [&](uint64_t count, const char* what) {
    if (count != 0) texts.push_back(fmt::format("{} {}", count, what));
  };
  add(losses.workers_dropped, "epoll_wait calls of threads beyond the table's size");
  add(losses.instances_dropped, "epoll_wait calls on instances beyond the table's size");
  add(losses.targets_dropped, "processes beyond the 1,024 that can be watched at once");
  add(losses.runs_missed,
      "events at most, other processes' included: the kernel runs no program that it has "
      "interrupted on the same CPU");
  return texts;
}

EpollSnapshot EpollIntervals::advance(const EpollSnapshot& cumulative) {
  EpollSnapshot interval;
  interval.time_ns = cumulative.time_ns;
  interval.duration_ns = cumulative.time_ns - last_time_ns_;
  interval.detailed_ns = cumulative.detailed_ns - last_detailed_ns_;
  interval.losses = cumulative.losses.since(last_losses_);
  std::map<WorkerKey, WorkerStats> seen;
  for (const WorkerStats& worker : cumulative.workers) {
    const auto before = last_.find(worker.key);
    interval.workers.push_back(before == last_.end() ? worker : worker.since(before->second));
    seen.emplace(worker.key, worker);
  }
  last_time_ns_ = cumulative.time_ns;
  last_detailed_ns_ = cumulative.detailed_ns;
  last_losses_ = cumulative.losses;
  last_ = std::move(seen);
  return interval;
}

void EpollTotal::add(const EpollSnapshot& interval) {
  total_.time_ns = interval.time_ns;
  total_.duration_ns += interval.duration_ns;
  total_.detailed_ns += interval.detailed_ns;
  total_.losses.add(interval.losses);
  for (const WorkerStats& worker : interval.workers) {
    const auto known = places_.find(worker.key);
    if (known != places_.end()) {
      total_.workers[known->second].merge(worker);
    } else if (total_.workers.size() < kWorkersMax) {
      places_.emplace(worker.key, total_.workers.size());
      total_.workers.push_back(worker);
    } else {
      total_.losses.workers_dropped += worker.waits();
    }
  }
}

}  // namespace epulse::model
