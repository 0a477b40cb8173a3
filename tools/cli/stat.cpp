#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <optional>
#include <vector>

#include "agent/error.hpp"
#include "agent/kernel/interference_sampler.hpp"
#include "agent/model/epoll_groups.hpp"
#include "agent/probes/attach.hpp"
#include "agent/probes/overhead_control.hpp"
#include "agent/probes/socket_probe.hpp"
#include "tools/cli/commands.hpp"
#include "tools/cli/ring_stat.hpp"
#include "tools/cli/stat_output.hpp"
#include "tools/cli/target.hpp"
#include "tools/cli/watch.hpp"

namespace epulse::cli {
namespace {

// The sockets of the one process that is watched.
struct Sockets {
  explicit Sockets(pid_t pid) : probe({.tgid = pid}, kernel::detect()), intervals(probe.read()) {}
  void sample() {
    interval = intervals.advance(probe.read());
    run.add(interval);
  }

  probes::SocketProbe probe;
  model::SocketIntervals intervals;
  model::SocketPressure interval;
  model::SocketRun run;
};

// One run of `epulse stat` with BPF.
class EpollStat {
 public:
  EpollStat(const StatOptions& options, const Target& target, probes::EpollProbe& probe)
      : options_(options),
        target_(target),
        probe_(probe),
        title_(target.title() + (target.follow_children() ? " and children" : "")),
        output_(make_stat_output(options, !target.single())),
        control_(probe, options.budget_percent / 100,
                 options.cost ? probes::OverheadControl::Timing::kAlways
                              : probes::OverheadControl::Timing::kAsNeeded),
        intervals_(probe.attached_ns()),
        interference_(target.pids()) {
    // Rings and sockets of one process alone.
    if (target.pids().size() == 1) rings_.emplace(target.pids()[0]);
    if (options.sockets) sockets_.emplace(target.pids()[0]);
  }

  void start(const std::string& backend) {
    target_.add_members(probe_);
    output_->start(title_, backend);
  }

  // False when all processes have ended.
  bool interval() {
    const model::EpollSnapshot interval = sample();
    control_.interval_ends(interval.time_ns);
    const auto blames = blames_.advance(blamed_);
    const auto others = interference_.sample(probe_.targets());
    output_->interval(
        report(grouped(interval), blames, others, rings_ ? &rings_->interval() : nullptr));
    return target_.refresh(probe_);
  }

  // `event`: what ended it; other than a tick, within an interval.
  void finish(Watch::Event event) {
    if (event != Watch::Event::kTick) {
      sample();
      interference_.sample(probe_.targets());
    }
    control_.finish();
    StatEnd end;
    end.title = title_;
    if (event == Watch::Event::kExited) {
      end.reason = target_.single() ? "the process ended" : "all of them ended";
    }
    if (event == Watch::Event::kInterrupted) end.reason = "interrupted";
    if (sockets_) end.sockets = &sockets_->run;
    if (options_.cost) {
      end.costs = probe_.costs();
      if (rings_) rings_->add_costs(end.costs);
      end.timed_ns = control_.timed_ns();
    }
    output_->summary(report(grouped(total_.total()), blamed_, interference_.total(),
                            rings_ ? &rings_->total() : nullptr),
                     end);
  }

 private:
  model::EpollSnapshot sample() {
    model::EpollSnapshot interval = intervals_.advance(probe_.read());
    blamed_ = probe_.blames();
    target_.limit(interval);
    target_.limit(blamed_);
    add_names(interval, names_);
    total_.add(interval);
    if (sockets_) sockets_->sample();
    if (rings_) rings_->sample(names_);
    return interval;
  }

  const model::EpollSnapshot& grouped(const model::EpollSnapshot& snapshot) {
    grouped_ = snapshot;
    if (options_.per_thread) grouped_.workers = model::by_thread(snapshot.workers);
    if (options_.per_epoll) grouped_.workers = model::by_instance(snapshot.workers);
    return grouped_;
  }

  StatReport report(const model::EpollSnapshot& epoll, const std::vector<model::Blame>& blames,
                    const model::Interference& interference,
                    const model::UringSnapshot* rings) const {
    return {epoll,
            names_,
            blames,
            interference,
            control_.overhead(),
            rings,
            sockets_ ? &sockets_->interval : nullptr};
  }

  const StatOptions& options_;
  const Target& target_;
  probes::EpollProbe& probe_;
  std::string title_;
  std::unique_ptr<StatOutput> output_;
  probes::OverheadControl control_;
  model::EpollIntervals intervals_;
  kernel::InterferenceSampler interference_;
  std::optional<RingStat> rings_;
  std::optional<Sockets> sockets_;
  record::ThreadNames names_;
  model::EpollTotal total_;
  model::EpollSnapshot grouped_;
  model::BlameIntervals blames_;
  std::vector<model::Blame> blamed_;  // since attach
};

int run_epoll_stat(const StatOptions& options, const Target& target, Watch& watch,
                   const probes::Attached& attached) {
  EpollStat stat(options, target, *attached.probe);
  watch.add_descriptor(attached.probe->descriptor(), [&] { attached.probe->consume(); });
  stat.start(probes::to_string(attached.plan.backend));
  watch.start(options.interval_s);
  auto event = Watch::Event::kTick;
  for (uint64_t n = 0; event == Watch::Event::kTick && (options.count == 0 || n < options.count);
       ++n) {
    event = watch.next();
    if (event == Watch::Event::kTick && !stat.interval()) event = Watch::Event::kExited;
  }
  stat.finish(event);
  return 0;
}

}  // namespace

std::unique_ptr<StatOutput> make_stat_output(const StatOptions& options, bool processes) {
  if (options.json) return make_stat_json();
  if (!options.separator.empty()) return make_stat_lines(options.separator);
  return make_stat_table(options, processes);
}

int run_stat(const StatOptions& options) {
  const auto selector = selector_of(options.target);
  if (!selector) {
    fail(
        "nobody to watch: --pid is required, or --tid, --comm, --cgroup, --unit or --all; `epulse "
        "list` shows the candidates");
  }
  const Target target(*selector);
  if (options.sockets && !target.single()) {
    fail("--sockets shows one process, by -p PID, not {}", target.title());
  }
  Watch watch;
  if (target.single()) watch.add_process(target.pids()[0]);
  const probes::Attached attached =
      probes::attach({.tgids = target.pids(), .follow_children = target.follow_children()},
                     options.backend, [](const epoll_wait_record&) {});
  if (attached.probe) return run_epoll_stat(options, target, watch, attached);
  if (options.sockets) {
    fail_unsupported("--sockets wants BPF, which is refused here: {}", attached.plan.why);
  }
  if (!target.single()) {
    fail_unsupported("without BPF one process can be watched, by -p PID, not {}: {}",
                     target.title(), attached.plan.why);
  }
  return run_procfs_stat(options, target.pids()[0], watch, attached.plan.why);
}

}  // namespace epulse::cli
