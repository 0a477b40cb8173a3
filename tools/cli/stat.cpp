#include <fmt/format.h>

#include <cstdio>

#include "agent/error.hpp"
#include "agent/model/text.hpp"
#include "agent/probes/attach.hpp"
#include "tools/cli/commands.hpp"
#include "tools/cli/epoll_table.hpp"
#include "tools/cli/target.hpp"
#include "tools/cli/watch.hpp"

namespace epulse::cli {
namespace {

// The share is of one CPU: what the host pays for the probes, all processes together.
void print_costs(const std::vector<probes::ProgramCost>& costs, uint64_t duration_ns) {
  fmt::print("\n probe cost, by the kernel's own clock\n   {:20} {:>12} {:>10} {:>10}\n", "program",
             "runs", "ns/run", "% of a CPU");
  for (const auto& cost : costs) {
    fmt::print(
        "   {:20} {:>12} {:>10.0f} {:>10.2f}\n", cost.name, cost.runs,
        cost.runs == 0 ? 0 : static_cast<double>(cost.run_ns) / static_cast<double>(cost.runs),
        100 * static_cast<double>(cost.run_ns) / static_cast<double>(duration_ns));
  }
}

int run_epoll_stat(const StatOptions& options, const Target& target, Watch& watch,
                   const probes::Attached& attached) {
  probes::EpollProbe& probe = *attached.probe;
  if (options.cost) probe.measure_cost();
  watch.add_descriptor(probe.descriptor(), [&] { probe.consume(); });
  const std::string title = target.title();
  target.refresh(probe);
  fmt::print("# {}{}, {} backend, every {} s\n", title,
             target.follow_children() ? " and children" : "",
             probes::to_string(attached.plan.backend), options.interval_s);
  std::fflush(stdout);  // who reads it through a pipe learns that the probes are attached

  watch.start(options.interval_s);
  EpollTable table(!target.single());
  record::ThreadNames names;
  model::EpollIntervals intervals(probe.attached_ns());
  model::EpollTotal total;
  const auto sample = [&] {
    model::EpollSnapshot interval = intervals.advance(probe.read());
    target.limit(interval);
    add_names(interval, names);
    total.add(interval);
    return interval;
  };
  auto event = Watch::Event::kTick;
  for (uint64_t n = 0; event == Watch::Event::kTick && (options.count == 0 || n < options.count);
       ++n) {
    event = watch.next();
    if (event != Watch::Event::kTick) break;
    table.print(sample(), names);
    if (!target.refresh(probe)) event = Watch::Event::kExited;
  }
  if (event != Watch::Event::kTick) sample();
  fmt::print("\n# {} over {}{}\n", title, model::duration_text(total.total().duration_ns),
             event != Watch::Event::kExited ? ""
             : target.single()              ? "; the process ended"
                                            : "; all of them ended");
  print_summary(total.total(), names);
  if (options.cost) print_costs(probe.costs(), total.total().duration_ns);
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
  if (attached.probe) return run_epoll_stat(options, target, watch, attached);
  if (!target.single()) {
    fail("without BPF one process can be watched, by -p PID, not {}: {}", target.title(),
         attached.plan.why);
  }
  return run_procfs_stat(options, target.pids()[0], watch, attached.plan.why);
}

}  // namespace epulse::cli
