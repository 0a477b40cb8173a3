#include "agent/kernel/sched_sampler.hpp"

#include <unistd.h>

#include <algorithm>
#include <ctime>
#include <set>

#include "agent/model/text.hpp"

namespace epulse::kernel {

uint64_t monotonic_ns() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(now.tv_nsec);
}

namespace {

// Of counters that may go backwards: a hypervisor's, when the machine is moved.
double share(uint64_t now, uint64_t before, double whole) {
  return now < before ? 0 : static_cast<double>(now - before) / whole;
}

}  // namespace

SchedSampler::SchedSampler(pid_t pid) : pid_(pid), quota_files_(throttling_files(pid)) {
  sample();
}

void SchedSampler::count_runnable(model::SchedInterval& interval) const {
  std::map<int, int> runnable;
  std::set<int> real_time;
  for (const pid_t pid : all_pids()) {
    if (pid == pid_ || pid == getpid()) continue;
    for (const pid_t tid : thread_ids(pid)) {
      const auto stat = thread_stat(pid, tid);
      if (!stat || stat->state != 'R') continue;
      ++runnable[stat->cpu];
      if (stat->real_time) real_time.insert(stat->cpu);
    }
  }
  for (model::CpuSched& cpu : interval.cpus) {
    cpu.foreign_runnable = runnable[cpu.cpu];
    cpu.foreign_real_time = real_time.contains(cpu.cpu);
  }
}

model::SchedInterval SchedSampler::sample() {
  const uint64_t now_ns = monotonic_ns();
  const auto span_ns = static_cast<double>(now_ns - last_ns_);
  model::SchedInterval interval;
  interval.seconds = span_ns / 1e9;

  std::map<pid_t, ThreadTimes> threads;
  for (const pid_t tid : thread_ids(pid_)) {
    const auto stat = thread_stat(pid_, tid);
    const auto times = thread_schedstat(pid_, tid);
    const auto allowed = thread_affinity(tid);
    if (!stat || !times || !allowed) continue;
    threads[tid] = {stat->start_ticks, *times};
    const auto before = threads_.find(tid);
    if (before == threads_.end() || before->second.start_ticks != stat->start_ticks) continue;
    const uint64_t slices = times->timeslices - before->second.stat.timeslices;
    const uint64_t delay_ns = times->delay_ns - before->second.stat.delay_ns;
    model::ThreadSched thread;
    thread.tid = tid;
    thread.start_ticks = stat->start_ticks;
    thread.name = model::printable(stat->name);  // goes to logs and terminals
    thread.cpu = stat->cpu;
    thread.allowed = *allowed;
    thread.run_share = static_cast<double>(times->run_ns - before->second.stat.run_ns) / span_ns;
    thread.delay_share = static_cast<double>(delay_ns) / span_ns;
    thread.timeslices_per_second = static_cast<double>(slices) / interval.seconds;
    thread.delay_ns_mean = slices == 0 ? 0 : delay_ns / slices;
    interval.threads.push_back(std::move(thread));
  }

  std::map<int, CpuTimes> cpus = cpu_times();
  for (const auto& [cpu, times] : cpus) {
    const auto before = cpus_.find(cpu);
    if (before == cpus_.end() || times.total <= before->second.total) continue;
    model::CpuSched load;
    load.cpu = cpu;
    const auto ticks = static_cast<double>(times.total - before->second.total);
    load.busy_share = static_cast<double>(times.busy - before->second.busy) / ticks;
    load.softirq_share = share(times.softirq, before->second.softirq, ticks);
    load.steal_share = share(times.steal, before->second.steal, ticks);
    for (const model::ThreadSched& thread : interval.threads) {
      if (thread.cpu == cpu) load.target_share += thread.run_share;
    }
    load.target_share = std::min(load.target_share, load.busy_share);
    interval.cpus.push_back(load);
  }

  interval.throttled_share = throttled_share(interval.seconds);
  last_ns_ = now_ns;
  threads_ = std::move(threads);
  cpus_ = std::move(cpus);
  return interval;
}

// Of a process that was moved to another control group since, that of its old one.
double SchedSampler::throttled_share(double seconds) {
  uint64_t now_ns = 0;
  for (const std::string& file : quota_files_) now_ns += read_throttling(file).ns;
  const double throttled = share(now_ns, throttled_ns_, seconds * 1e9);
  throttled_ns_ = now_ns;
  return throttled;
}

}  // namespace epulse::kernel
