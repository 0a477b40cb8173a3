#include <fmt/format.h>

#include <cstdio>
#include <optional>
#include <utility>
#include <vector>

#include "agent/error.hpp"
#include "agent/kernel/process.hpp"
#include "agent/model/text.hpp"
#include "agent/probes/attach.hpp"
#include "agent/probes/uring_probe.hpp"
#include "tools/cli/commands.hpp"
#include "tools/cli/epoll_table.hpp"
#include "tools/cli/socket_table.hpp"
#include "tools/cli/thread_names.hpp"
#include "tools/cli/uring_table.hpp"
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
        100 * static_cast<double>(cost.run_ns) / static_cast<double>(duration_ns));
  }
}

// Nothing when nobody was late.
void print_blames(const std::vector<model::Blame>& blames, uint64_t duration_ns) {
  constexpr size_t kShown = 4;
  const std::string text = text_of(model::by_culprit(blames), duration_ns, kShown);
  if (!text.empty()) fmt::print(" on the CPU while woken workers waited for it: {}\n", text);
}

// The process's rings, beside its epolls: now, or once it has one.
class RingStat {
 public:
  explicit RingStat(pid_t pid) : pid_(pid) {
    try {
      probe_.emplace(probes::UringProbeOptions{.tgid = pid, .wait_for_rings = true});
      intervals_.emplace(probe_->attached_ns());
    } catch (const LoadError& error) {
      if (kernel::has_ring(pid)) fmt::print("# no figures of its rings: {}\n", error.what());
    }
  }

  void sample(record::ThreadNames& names, bool print) {
    if (!probe_) return;
    const model::UringSnapshot interval = intervals_->advance(probe_->read());
    add_thread_names(pid_, interval, names);
    total_.add(interval);
    if (print) print_rings(interval, names);
  }

  void print_summary(const record::ThreadNames& names) const {
    print_ring_summary(total_.total(), names);
  }

  void add_costs(std::vector<probes::ProgramCost>& costs) const {
    if (!probe_) return;
    for (probes::ProgramCost& cost : probe_->costs()) {
      cost.name = "uring " + cost.name;
      costs.push_back(std::move(cost));
    }
  }

 private:
  pid_t pid_;
  std::optional<probes::UringProbe> probe_;
  std::optional<model::UringIntervals> intervals_;
  model::UringTotal total_;
};

int run_epoll_stat(const StatOptions& options, Watch& watch, const probes::Attached& attached) {
  probes::EpollProbe& probe = *attached.probe;
  RingStat rings(options.pid);
  if (options.cost) probe.measure_cost();
  std::optional<SocketTable> sockets;
  if (options.sockets) sockets.emplace(options.pid);
  watch.add_descriptor(probe.descriptor(), [&] { probe.consume(); });
  fmt::print("# {}[{}], {} backend, every {} s\n", kernel::process_name(options.pid), options.pid,
             probes::to_string(attached.plan.backend), options.interval_s);
  std::fflush(stdout);  // who reads it through a pipe learns that the probes are attached

  watch.start(options.interval_s);
  EpollTable table;
  record::ThreadNames names;
  model::EpollIntervals intervals(probe.attached_ns());
  model::EpollTotal total;
  model::BlameIntervals blames;
  const auto sample = [&] {
    model::EpollSnapshot interval = intervals.advance(probe.read());
    add_thread_names(options.pid, interval, names);
    total.add(interval);
    if (sockets) sockets->sample();
    return interval;
  };
  auto event = Watch::Event::kTick;
  for (uint64_t n = 0; options.count == 0 || n < options.count; ++n) {
    event = watch.next();
    if (event != Watch::Event::kTick) break;
    const model::EpollSnapshot interval = sample();
    table.print(interval, names);
    print_blames(blames.advance(probe.blames()), interval.duration_ns);
    rings.sample(names, true);
    if (sockets) sockets->print();
  }
  if (event != Watch::Event::kTick) {
    sample();
    rings.sample(names, false);
  }
  fmt::print("\n# {} over {}{}\n", kernel::process_name(options.pid),
             model::duration_text(total.total().duration_ns),
             event == Watch::Event::kExited ? "; the process ended" : "");
  print_summary(total.total(), names);
  print_blames(model::by_culprit(probe.blames()), total.total().duration_ns);
  rings.print_summary(names);
  if (sockets) sockets->print_summary();
  if (options.cost) {
    std::vector<probes::ProgramCost> costs = probe.costs();
    rings.add_costs(costs);
    print_costs(costs, total.total().duration_ns);
  }
  return 0;
}

}  // namespace

int run_stat(const StatOptions& given) {
  StatOptions options = given;
  options.pid = kernel::require_event_loop(given.pid);
  Watch watch;
  watch.add_process(options.pid);
  const probes::Attached attached =
      probes::attach({.tgid = options.pid}, options.backend, [](const epoll_wait_record&) {});
  if (!attached.probe && options.sockets) {
    fail("--sockets wants BPF, which is refused here: {}", attached.plan.why);
  }
  if (!attached.probe) return run_procfs_stat(options, watch, attached.plan.why);
  return run_epoll_stat(options, watch, attached);
}

}  // namespace epulse::cli
