#include "agent/daemon/target_sampler.hpp"

#include <algorithm>
#include <set>

namespace epulse::daemon {
namespace {

// A p99 of fewer wake-ups is no figure to act on.
constexpr uint64_t kSamplesMin = 20;
// Exceptions kept per interval; the probe's own counters are complete.
constexpr size_t kExceptionsMax = 10'000;
// A worker that waits longer than this for a CPU is worth a look at who else wants it.
constexpr uint64_t kLateNs = 200'000;

bool is_late(const model::ThreadSched& thread) {
  return thread.is_worker && thread.wakeup_ns_p99.value_or(thread.delay_ns_mean) > kLateNs;
}

}  // namespace

TargetSampler::TargetSampler(pid_t pid, const config::Probes& options, const std::string& backend)
    : pid_(pid),
      sched_(pid),
      page_(kernel::StatsPage::open(pid)),
      attached_(probes::attach({.tgids = {pid},
                                .exception_depth = static_cast<uint32_t>(options.exception_depth),
                                .exception_wakeup_ns = options.exception_wakeup_us * 1000,
                                .sample_every = static_cast<uint32_t>(options.sample_every)},
                               backend, [this](const epoll_wait_record& wait) {
                                 if (exceptions_.size() < kExceptionsMax)
                                   exceptions_.push_back(wait);
                               })) {
  if (!attached_.probe) return;
  intervals_.emplace(attached_.probe->attached_ns());
  control_.emplace(*attached_.probe, options.overhead_budget);
}

TargetSample TargetSampler::sample() {
  TargetSample sample;
  sample.sched = sched_.sample();
  if (attached_.probe) {
    attached_.probe->consume();
    sample.epoll = intervals_->advance(attached_.probe->read());
    drop_closed(*sample.epoll);
    sample.exceptions.swap(exceptions_);
    sample.blames = blames_.advance(attached_.probe->blames());
    control_->interval_ends(sample.epoll->time_ns);
    look_for_stalls(sample);
  }
  if (page_) sample.pages = page_->read();
  mark_workers(sample);
  if (std::any_of(sample.sched.threads.begin(), sample.sched.threads.end(), is_late)) {
    sched_.count_runnable(sample.sched);
  }
  return sample;
}

// The probe keeps what a thread has counted on an instance for as long as the thread lives, also
// when it has closed it.
void TargetSampler::drop_closed(model::EpollSnapshot& interval) const {
  std::erase_if(interval.workers, [&](const model::WorkerStats& worker) {
    return worker.waits() == 0 &&
           kernel::epoll_is_closed(pid_, static_cast<pid_t>(worker.key.tid), worker.key.epfd);
  });
}

void TargetSampler::look_for_stalls(TargetSample& sample) {
  std::set<uint64_t> active;
  for (const auto& worker : sample.epoll->workers) {
    if (worker.waits() > 0) active.insert(worker.key.epoll_id);
  }
  const uint64_t now_ns = sample.epoll->time_ns;
  if (stalls_.wants_look(active, now_ns)) {
    std::vector<model::LoopLook> found;
    for (const epoll_list_record& one : attached_.probe->instances()) {
      found.push_back({one.epoll_id, one.epfd, one.depth, one.waiters});
    }
    stalls_.look(found, active, now_ns);
  }
  sample.stalls = stalls_.stalls(active, now_ns);
}

void TargetSampler::mark_workers(TargetSample& sample) const {
  std::set<uint32_t> known;
  if (sample.epoll) {
    for (const auto& worker : sample.epoll->workers) known.insert(worker.key.tid);
  } else {
    for (const auto& worker : sample.pages) known.insert(worker.tid);
  }
  sample.sched.wakeups_measured = !sample.epoll || sample.epoll->detailed_ns != 0;
  for (model::ThreadSched& thread : sample.sched.threads) {
    // Without either source every thread may be one; those that do not run have no delay.
    thread.is_worker =
        (!sample.epoll && !page_) || known.contains(static_cast<uint32_t>(thread.tid));
    if (!sample.epoll || !sample.sched.wakeups_measured) continue;
    for (const auto& worker : sample.epoll->workers) {
      const auto& delay = worker.stages[EPOLL_STAGE_WOKEN_TO_RUNNING];
      if (worker.key.tid != static_cast<uint32_t>(thread.tid) || delay.count() < kSamplesMin)
        continue;
      thread.wakeup_ns_p99 = std::max(thread.wakeup_ns_p99.value_or(0), delay.quantile(0.99));
      if (!thread.wakeup_ns) thread.wakeup_ns.emplace(delay.shape());
      thread.wakeup_ns->merge(delay);
    }
  }
}

}  // namespace epulse::daemon
