#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <optional>
#include <vector>

#include "agent/error.hpp"
#include "agent/kernel/interference_sampler.hpp"
#include "agent/model/text.hpp"
#include "agent/probes/attach.hpp"
#include "agent/probes/overhead_control.hpp"
#include "tools/cli/commands.hpp"
#include "tools/cli/epoll_table.hpp"
#include "tools/cli/ring_stat.hpp"
#include "tools/cli/socket_table.hpp"
#include "tools/cli/target.hpp"
#include "tools/cli/watch.hpp"

namespace epulse::cli {
namespace {

// The share is of one CPU: what the host pays for the probes, all processes together.
void print_costs(const std::vector<probes::ProgramCost>& costs, uint64_t duration_ns) {
  fmt::print("\n probe cost, by the kernel's own clock\n   {:26} {:>12} {:>10} {:>10}\n", "program",
             "runs", "ns/run", "% of a CPU");
  for (const auto& cost : costs) {
    fmt::print(
        "   {:26} {:>12} {:>10.0f} {:>10.2f}\n", cost.name, cost.runs,
        cost.runs == 0 ? 0 : static_cast<double>(cost.run_ns) / static_cast<double>(cost.runs),
        100 * static_cast<double>(cost.run_ns) /
            static_cast<double>(std::max<uint64_t>(duration_ns, 1)));
  }
}

// Nothing while it is not known.
void print_overhead(const model::Overhead& overhead) {
  const std::string text = text_of(overhead);
  if (!text.empty()) fmt::print(" probes: {}\n", text);
}

// Who and what kept woken workers from a CPU, over `detailed_ns`. Nothing when nobody was late.
void print_delays(const std::vector<model::Blame>& blames, uint64_t detailed_ns,
                  const model::Interference& interference) {
  constexpr size_t kShown = 4;
  const std::string threads =
      detailed_ns == 0 ? "" : text_of(model::by_culprit(blames), detailed_ns, kShown);
  if (!threads.empty()) fmt::print(" on the CPU while woken workers waited for it: {}\n", threads);
  if (threads.empty() && interference.throttled_times == 0) return;
  const std::string others = text_of(interference);
  if (!others.empty()) fmt::print(" beside threads: {}\n", others);
}

int run_epoll_stat(const StatOptions& options, const Target& target, Watch& watch,
                   const probes::Attached& attached) {
  probes::EpollProbe& probe = *attached.probe;
  // Rings and sockets of one process alone.
  std::optional<RingStat> rings;
  if (target.pids().size() == 1) rings.emplace(target.pids()[0]);
  using Timing = probes::OverheadControl::Timing;
  probes::OverheadControl control(probe, options.budget_percent / 100,
                                  options.cost ? Timing::kAlways : Timing::kAsNeeded);
  std::optional<SocketTable> sockets;
  if (options.sockets) {
    if (!target.single()) fail("--sockets shows one process, by -p PID, not {}", target.title());
    sockets.emplace(target.pids()[0]);
  }
  watch.add_descriptor(probe.descriptor(), [&] { probe.consume(); });
  const std::string title = target.title();
  target.add_members(probe);
  fmt::print("# {}{}, {} backend, every {} s\n", title,
             target.follow_children() ? " and children" : "",
             probes::to_string(attached.plan.backend), options.interval_s);
  std::fflush(stdout);  // who reads it through a pipe learns that the probes are attached

  watch.start(options.interval_s);
  EpollTable table(!target.single());
  record::ThreadNames names;
  model::EpollIntervals intervals(probe.attached_ns());
  model::EpollTotal total;
  model::BlameIntervals blames;
  kernel::InterferenceSampler interference(target.pids());
  std::vector<model::Blame> blamed;  // since attach
  const auto sample = [&] {
    model::EpollSnapshot interval = intervals.advance(probe.read());
    blamed = probe.blames();
    target.limit(interval);
    target.limit(blamed);
    add_names(interval, names);
    total.add(interval);
    if (sockets) sockets->sample();
    return interval;
  };
  auto event = Watch::Event::kTick;
  for (uint64_t n = 0; event == Watch::Event::kTick && (options.count == 0 || n < options.count);
       ++n) {
    event = watch.next();
    if (event != Watch::Event::kTick) break;
    const model::EpollSnapshot interval = sample();
    control.interval_ends(interval.time_ns);
    table.print(interval, names);
    print_delays(blames.advance(blamed), interval.detailed_ns,
                 interference.sample(probe.targets()));
    if (control.overhead().detail_one_in > 1) print_overhead(control.overhead());
    if (rings) rings->sample(names, true);
    if (sockets) sockets->print();
    if (!target.refresh(probe)) event = Watch::Event::kExited;
  }
  if (event != Watch::Event::kTick) {
    sample();
    interference.sample(probe.targets());
    if (rings) rings->sample(names, false);
  }
  control.finish();
  fmt::print("\n# {} over {}{}\n", title, model::duration_text(total.total().duration_ns),
             event != Watch::Event::kExited ? ""
             : target.single()              ? "; the process ended"
                                            : "; all of them ended");
  print_summary(total.total(), names);
  print_delays(blamed, total.total().detailed_ns, interference.total());
  if (rings) rings->print_summary(names);
  if (sockets) sockets->print_summary();
  print_overhead(control.overhead());
  if (options.cost) {
    std::vector<probes::ProgramCost> costs = probe.costs();
    if (rings) rings->add_costs(costs);
    print_costs(costs, control.timed_ns());
  }
  return 0;
}

}  // namespace

int run_stat(const StatOptions& options) {
  const auto selector = selector_of(options.target);
  if (!selector) {
    fail(
        "nobody to watch: --pid is required, or --tid, --comm, --cgroup or --unit; `epulse list` "
        "shows the candidates");
  }
  const Target target(*selector);
  Watch watch;
  if (target.single()) watch.add_process(target.pids()[0]);
  const probes::Attached attached =
      probes::attach({.tgids = target.pids(), .follow_children = target.follow_children()},
                     options.backend, [](const epoll_wait_record&) {});
  if (!attached.probe && options.sockets) {
    fail("--sockets wants BPF, which is refused here: {}", attached.plan.why);
  }
  if (attached.probe) return run_epoll_stat(options, target, watch, attached);
  if (!target.single()) {
    fail("without BPF one process can be watched, by -p PID, not {}: {}", target.title(),
         attached.plan.why);
  }
  return run_procfs_stat(options, target.pids()[0], watch, attached.plan.why);
}

}  // namespace epulse::cli
