#include "agent/tuners/diagnosis.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>

namespace epulse::tuners {
namespace {

using model::CpuSet;
using model::ThreadSched;

constexpr double kSkewMin = 1.5;         // the most of one worker over the mean of all
constexpr uint64_t kEventsMin = 1000;    // of an interval: fewer may fall as they like
constexpr uint64_t kConnectionsMin = 4;  // per worker, likewise
constexpr double kHerdMin = 0.2;         // of the wake-ups, empty
constexpr uint64_t kWakeupsMin = 100;
constexpr double kSoftirqMin = 0.05;
constexpr double kSoftirqSaturated = 0.5;
constexpr double kThrottledMin = 0.05;
constexpr double kStealMin = 0.05;
constexpr double kPreemptedMin = 0.05;  // of the interval

CpuSet worker_cpus(const Observed& observed) {
  CpuSet cpus;
  for (const ThreadSched& thread : observed.sched.threads) {
    if (thread.is_worker && thread.cpu >= 0 && thread.cpu < CpuSet::kCapacity) cpus.add(thread.cpu);
  }
  return cpus;
}

std::string thread_text(const Observed& observed, uint32_t tid) {
  for (const ThreadSched& thread : observed.sched.threads) {
    if (thread.tid == static_cast<pid_t>(tid)) return fmt::format("{}[{}]", thread.name, tid);
  }
  return fmt::format("thread {}", tid);
}

// How unequally something is shared.
struct Skew {
  uint64_t most = 0;
  uint32_t most_tid = 0;
  uint64_t least = 0;
  double over_mean = 0;
};

Skew skew_of(const std::map<uint32_t, uint64_t>& by_tid) {
  Skew skew;
  if (by_tid.empty()) return skew;
  uint64_t sum = 0;
  skew.least = by_tid.begin()->second;
  for (const auto& [tid, value] : by_tid) {
    sum += value;
    skew.least = std::min(skew.least, value);
    if (value > skew.most) skew.most_tid = tid;
    skew.most = std::max(skew.most, value);
  }
  const double mean = static_cast<double>(sum) / static_cast<double>(by_tid.size());
  skew.over_mean = mean > 0 ? static_cast<double>(skew.most) / mean : 0;
  return skew;
}

// Each epoll instance that several threads wait on.
std::map<uint64_t, std::map<uint32_t, uint64_t>> shared_instances(const Observed& observed) {
  std::map<uint64_t, std::map<uint32_t, uint64_t>> events;
  if (!observed.epoll) return events;
  for (const auto& worker : observed.epoll->workers) {
    events[worker.key.epoll_id][worker.key.tid] += worker.events();
  }
  std::erase_if(events, [](const auto& entry) { return entry.second.size() < 2; });
  return events;
}

void find_lifo(const Observed& observed, std::vector<Proposal>& found) {
  for (const auto& [epoll_id, events] : shared_instances(observed)) {
    const Skew skew = skew_of(events);
    if (skew.over_mean < kSkewMin || skew.most < kEventsMin) continue;
    Proposal proposal;
    proposal.scenario = "diagnosis.lifo-wakeups";
    proposal.target = fmt::format("epoll instance {:#x} of {}", epoll_id, observed.process);
    proposal.evidence = fmt::format(
        "{} threads wait on one epoll instance, which wakes the one that came last (waiters are "
        "queued at the head, __add_wait_queue_exclusive): {} took {} events, {:.1f} times the "
        "mean, another {}",
        events.size(), thread_text(observed, skew.most_tid), skew.most, skew.over_mean, skew.least);
    proposal.figures = {{"events_over_mean", skew.over_mean, kSkewMin},
                        {"threads", static_cast<double>(events.size())}};
    proposal.expected = "each thread gets its share, and keeps its connections' data in its cache";
    proposal.by_hand =
        "in the server: an epoll instance for each thread, with a listening socket of its own "
        "(SO_REUSEPORT)";
    proposal.bounds = "advice only";
    found.push_back(std::move(proposal));
  }
}

void find_herd(const Observed& observed, std::vector<Proposal>& found) {
  if (!observed.epoll) return;
  uint64_t wakeups = 0;
  uint64_t empty = 0;
  size_t threads = 0;
  for (const auto& worker : observed.epoll->workers) {
    wakeups += worker.counters[EPOLL_COUNTER_WAKEUPS];
    empty += worker.counters[EPOLL_COUNTER_EMPTY_WAKEUPS];
    threads += worker.counters[EPOLL_COUNTER_EMPTY_WAKEUPS] != 0 ? 1U : 0U;
  }
  const double share = wakeups == 0 ? 0 : static_cast<double>(empty) / static_cast<double>(wakeups);
  if (wakeups < kWakeupsMin || share < kHerdMin || threads < 2) return;
  Proposal proposal;
  proposal.scenario = "diagnosis.herd";
  proposal.target = observed.process;
  proposal.evidence = fmt::format(
      "{} of {} wake-ups ({:.0f} %) of {} threads found nothing to do: others had taken it", empty,
      wakeups, share * 100, threads);
  proposal.figures = {{"empty_wakeups_share", share, kHerdMin},
                      {"wakeups", static_cast<double>(wakeups)}};
  proposal.expected = "one thread is woken for each event";
  proposal.by_hand =
      "in the server: EPOLLEXCLUSIVE for the descriptor that the threads share, or a listening "
      "socket for each (SO_REUSEPORT)";
  proposal.bounds = "advice only";
  found.push_back(std::move(proposal));
}

// Where the server tells, connections: what the hash spreads. Else events of threads that have an
// instance each.
std::map<uint32_t, uint64_t> load_by_worker(const Observed& observed, bool& connections) {
  std::map<uint32_t, uint64_t> load;
  connections = observed.workers.size() > 1;
  for (const auto& worker : observed.workers) {
    load[static_cast<uint32_t>(worker.tid)] = worker.connections;
  }
  if (connections || !observed.epoll || !shared_instances(observed).empty()) return load;
  load.clear();
  for (const auto& worker : observed.epoll->workers) load[worker.key.tid] += worker.events();
  return load;
}

void find_reuseport_skew(const Observed& observed, std::vector<Proposal>& found) {
  if (observed.listeners_of_one_port < 2) return;
  bool connections = false;
  const auto load = load_by_worker(observed, connections);
  const Skew skew = skew_of(load);
  const uint64_t enough = connections ? kConnectionsMin * load.size() : kEventsMin;
  if (load.size() < 2 || skew.over_mean < kSkewMin || skew.most < enough) return;
  const char* const what = connections ? "connections" : "events";
  Proposal proposal;
  proposal.scenario = "diagnosis.reuseport-skew";
  proposal.target = observed.process;
  proposal.evidence = fmt::format(
      "{} sockets share a port, and the kernel's hash knows nothing of load: {} has {} {}, {:.1f} "
      "times the mean of {} workers, another {}",
      observed.listeners_of_one_port, thread_text(observed, skew.most_tid), skew.most, what,
      skew.over_mean, load.size(), skew.least);
  proposal.figures = {
      {connections ? "connections_over_mean" : "events_over_mean", skew.over_mean, kSkewMin},
      {"workers", static_cast<double>(load.size())}};
  proposal.expected = "new connections go to the worker with the least to do; those there are stay";
  proposal.by_hand =
      observed.bundled
          ? "epulse-ws --accept-steering"
          : "in the server: setsockopt(listener, SOL_SOCKET, SO_ATTACH_REUSEPORT_EBPF, program), "
            "as "
            "epulse-ws --accept-steering does (bpf/steering.bpf.c); without it, fewer connections "
            "for each client, or several clients behind each";
  proposal.bounds = "advice only";
  found.push_back(std::move(proposal));
}

std::string cpu_list(const CpuSet& cpus) {
  return fmt::format("{} {}", cpus.count() == 1 ? "CPU" : "CPUs", cpus.to_string());
}

void find_interrupts(const Observed& observed, const model::CpuTopology& topology,
                     std::vector<Proposal>& found) {
  const CpuSet workers = worker_cpus(observed);
  if (workers.empty()) return;
  for (const auto& cpu : observed.interference.cpus) {
    bool is_apart = !workers.contains(cpu.cpu);
    for (int worker = workers.first(); worker >= 0; worker = workers.next(worker)) {
      is_apart = is_apart && topology.distance(cpu.cpu, worker) != model::CpuDistance::kCache;
    }
    const bool is_saturated = cpu.softirq_share >= kSoftirqSaturated;
    if (!is_saturated && !(is_apart && cpu.softirq_share >= kSoftirqMin)) continue;
    Proposal proposal;
    proposal.scenario = is_saturated ? "diagnosis.irq-saturated" : "diagnosis.irq-apart";
    proposal.target = fmt::format("CPU {}", cpu.cpu);
    proposal.evidence =
        fmt::format("CPU {} spends {:.0f} % of its time on softirqs; the workers of {} run on {}{}",
                    cpu.cpu, cpu.softirq_share * 100, observed.process, cpu_list(workers),
                    is_apart ? ", which share no cache with it" : "");
    proposal.figures = {
        {"softirq_share", cpu.softirq_share, is_saturated ? kSoftirqSaturated : kSoftirqMin}};
    proposal.expected = is_saturated ? "packets are handled on several CPUs"
                                     : "packets are in the cache of the worker that reads them";
    proposal.by_hand = fmt::format(
        "echo {} > /proc/irq/N/smp_affinity_list for the queues of the network card (N: grep "
        "DEVICE "
        "/proc/interrupts); with one queue, its CPUs as a mask to /sys/class/net/DEVICE/queues/"
        "rx-0/rps_cpus",
        workers.to_string());
    proposal.bounds = "advice only";
    found.push_back(std::move(proposal));
  }
}

void find_steal(const Observed& observed, std::vector<Proposal>& found) {
  const CpuSet workers = worker_cpus(observed);
  for (const auto& cpu : observed.interference.cpus) {
    if (!workers.contains(cpu.cpu) || cpu.steal_share < kStealMin) continue;
    Proposal proposal;
    proposal.scenario = "diagnosis.stolen";
    proposal.target = fmt::format("CPU {}", cpu.cpu);
    proposal.evidence = fmt::format(
        "the hypervisor gives {:.0f} % of CPU {}, where {} has a worker, to other machines",
        cpu.steal_share * 100, cpu.cpu, observed.process);
    proposal.figures = {{"steal_share", cpu.steal_share, kStealMin}};
    proposal.expected = "nothing inside this machine helps";
    proposal.by_hand = "a host that is less busy, or CPUs of one's own (dedicated instances)";
    proposal.bounds = "advice only";
    found.push_back(std::move(proposal));
  }
}

void find_throttling(const Observed& observed, std::vector<Proposal>& found) {
  const auto& interference = observed.interference;
  const double share = interference.seconds > 0 ? static_cast<double>(interference.throttled_ns) /
                                                      1e9 / interference.seconds
                                                : 0;
  if (interference.throttled_times == 0 || share < kThrottledMin) return;
  const std::string group = observed.cgroup.empty() ? "GROUP" : observed.cgroup;
  Proposal proposal;
  proposal.scenario = "diagnosis.throttled";
  proposal.target = observed.process;
  proposal.evidence = fmt::format(
      "the CPU quota of its control group was used up {} times in {:.1f} s, and held its threads "
      "up "
      "for {:.0f} ms/s: they wait, whatever else the CPUs do",
      interference.throttled_times, interference.seconds, share * 1000);
  proposal.figures = {{"throttled_share", share, kThrottledMin},
                      {"throttled_times", static_cast<double>(interference.throttled_times)}};
  proposal.expected = "no waits of up to a period (100 ms by default) any more";
  proposal.by_hand = fmt::format(
      "a larger quota in /sys/fs/cgroup{}/cpu.max (systemctl set-property UNIT CPUQuota=), or as "
      "many workers as the quota has CPUs",
      group.starts_with('/') ? group : "/" + group);
  proposal.bounds = "advice only";
  found.push_back(std::move(proposal));
}

void find_preemptor(const Observed& observed, std::vector<Proposal>& found) {
  const double interval_ns = observed.sched.seconds * 1e9;
  for (const model::Blame& blame : model::by_culprit(observed.blames)) {
    const double share = interval_ns > 0 ? static_cast<double>(blame.ns) / interval_ns : 0;
    if (share < kPreemptedMin || blame.times == 0) continue;
    // A worker that another one keeps waiting is no intruder: affinity.packed-workers is.
    const bool is_worker = std::any_of(
        observed.sched.threads.begin(), observed.sched.threads.end(),
        [&](const ThreadSched& thread) { return thread.tid == static_cast<pid_t>(blame.culprit); });
    if (is_worker) continue;
    const bool real_time = observed.real_time.contains(static_cast<pid_t>(blame.culprit));
    const auto us = static_cast<double>(blame.ns) / 1e3 / static_cast<double>(blame.times);
    const bool idle = blame.culprit == 0;
    Proposal proposal;
    proposal.scenario = idle ? "diagnosis.slow-idle" : "diagnosis.pre-empted";
    proposal.target = idle ? "idle CPUs" : fmt::format("{}[{}]", blame.comm, blame.culprit);
    proposal.evidence =
        idle ? fmt::format(
                   "workers of {} waited {:.0f} ms/s for CPUs that were idle, {:.0f} us "
                   "each time: they sleep too deeply",
                   observed.process, share * 1000, us)
             : fmt::format(
                   "{}[{}]{} had the CPU for {:.0f} ms/s while woken workers of {} waited for "
                   "it, {} times, {:.0f} us each",
                   blame.comm, blame.culprit, real_time ? ", a real-time thread," : "",
                   share * 1000, observed.process, blame.times, us);
    proposal.figures = {{"taken_share", share, kPreemptedMin},
                        {"times", static_cast<double>(blame.times)}};
    proposal.expected = idle ? "a wake-up takes some us" : "the workers run when they are woken";
    proposal.by_hand =
        idle ? "cpupower idle-set -D 20: no idle state that takes longer than 20 us to leave"
             : fmt::format("{0} {1}; or, where other CPUs are free, taskset -apc CPUS {1}",
                           real_time ? "chrt -o -p 0" : "renice 19 -p", blame.culprit);
    proposal.bounds = "advice only";
    found.push_back(std::move(proposal));
  }
}

}  // namespace

std::vector<Proposal> diagnose(const Observed& observed, const model::CpuTopology& topology) {
  std::vector<Proposal> found;
  find_throttling(observed, found);
  find_preemptor(observed, found);
  find_steal(observed, found);
  find_interrupts(observed, topology, found);
  find_lifo(observed, found);
  find_reuseport_skew(observed, found);
  find_herd(observed, found);
  return found;
}

Findings Diagnosis::step(const Observed& observed, uint64_t now_ns) {
  return persistence_.step(diagnose(observed, topology_), now_ns);
}

}  // namespace epulse::tuners
