#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "agent/kernel/sched_sampler.hpp"
#include "agent/kernel/stats_page.hpp"
#include "agent/model/text.hpp"
#include "tools/cli/commands.hpp"
#include "tools/cli/watch.hpp"

namespace epulse::cli {
namespace {

using model::count_text;
using model::duration_text;

// What the bundled server counted between two reads of its stats page, by thread.
using ServerCounters = std::map<pid_t, epulse_stats_worker>;

ServerCounters read_server(const kernel::StatsPage* page) {
  ServerCounters counters;
  if (page == nullptr) return counters;
  for (const epulse_stats_worker& worker : page->read()) {
    counters[static_cast<pid_t>(worker.tid)] = worker;
  }
  return counters;
}

void print_interval(const model::SchedInterval& interval, const ServerCounters& before,
                    const ServerCounters& after) {
  fmt::print("{:24} {:>4} {:>7} {:>9} {:>10} {:>8} {:>8} {:>6} {:>8}\n", "THREAD", "CPU", "CPU%",
             "RUNDELAY%", "DELAY/RUN", "WAITS/s", "EVENTS/s", "BATCH", "HANDLER");
  for (const model::ThreadSched& thread : interval.threads) {
    if (thread.timeslices_per_second == 0) continue;
    std::string waits = "-";
    std::string events = "-";
    std::string batch = "-";
    std::string handler = "-";
    const auto now = after.find(thread.tid);
    const auto then = before.find(thread.tid);
    if (now != after.end() && then != before.end()) {
      const auto turns = static_cast<double>(now->second.loop_turns - then->second.loop_turns);
      const auto delivered = static_cast<double>(now->second.events - then->second.events);
      const uint64_t handler_ns = now->second.handler_ns - then->second.handler_ns;
      waits = count_text(turns / interval.seconds);
      events = count_text(delivered / interval.seconds);
      if (turns > 0) {
        batch = fmt::format("{:.1f}", delivered / turns);
        handler = duration_text(static_cast<uint64_t>(static_cast<double>(handler_ns) / turns));
      }
    }
    fmt::print("{:24} {:>4} {:>7.1f} {:>9.1f} {:>10} {:>8} {:>8} {:>6} {:>8}\n",
               fmt::format("{}[{}]", thread.name, thread.tid), thread.cpu, 100 * thread.run_share,
               100 * thread.delay_share, duration_text(thread.delay_ns_mean), waits, events, batch,
               handler);
  }
  std::fflush(stdout);
}

}  // namespace

int run_procfs_stat(const StatOptions& options, pid_t pid, Watch& watch, const std::string& why) {
  const auto page = kernel::StatsPage::open(pid);
  fmt::print("# {}[{}], procfs backend, every {} s\n", kernel::process_name(pid), pid,
             options.interval_s);
  fmt::print("# why not BPF: {}\n", why);
  fmt::print(
      "# absent: queue depth, backlog, ready to woken, running to delivered, ready to delivered, "
      "empty "
      "wake-ups\n"
      "# estimated: woken to running, as DELAY/RUN: the mean run-queue delay per time slice "
      "(schedstat)\n");
  if (page == nullptr) {
    fmt::print("# absent: waits, events, batch, handler time (no stats page: not epulse-ws)\n");
  } else {
    fmt::print("# from the server's stats page: waits, events, mean batch, mean handler time\n");
  }
  watch.start(options.interval_s);
  kernel::SchedSampler sampler(pid);
  ServerCounters before = read_server(page.get());
  for (uint64_t n = 0; options.count == 0 || n < options.count; ++n) {
    if (watch.next() != Watch::Event::kTick) break;
    const ServerCounters after = read_server(page.get());
    print_interval(sampler.sample(), before, after);
    before = after;
  }
  return 0;
}

}  // namespace epulse::cli
