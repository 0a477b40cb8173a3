#include <fmt/format.h>

#include <ctime>
#include <map>

#include "agent/kernel/sched_sampler.hpp"
#include "agent/kernel/stats_page.hpp"
#include "agent/model/text.hpp"
#include "common/json_line.hpp"
#include "tools/cli/commands.hpp"
#include "tools/cli/named_values.hpp"
#include "tools/cli/output.hpp"
#include "tools/cli/table.hpp"
#include "tools/cli/watch.hpp"

namespace epulse::cli {
namespace {

using model::count_text;
using model::duration_text;

// Places in thread_values().
enum : size_t { kWaits = 6, kEvents, kBatch, kHandler };

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

// What is known of a thread over an interval; the second part from the server itself.
NamedValues thread_values(const model::SchedInterval& interval, const model::ThreadSched& thread,
                          const ServerCounters& before, const ServerCounters& after) {
  NamedValues values = {{"tid", static_cast<uint64_t>(thread.tid)},
                        {"thread", thread.name},
                        {"cpu", static_cast<uint64_t>(thread.cpu)},
                        {"run_share", thread.run_share},
                        {"delay_share", thread.delay_share},
                        {"delay_mean_ns", thread.delay_ns_mean},
                        {"waits_per_s", {}},
                        {"events_per_s", {}},
                        {"batch_mean", {}},
                        {"handler_mean_ns", {}}};
  const auto now = after.find(thread.tid);
  const auto then = before.find(thread.tid);
  if (now == after.end() || then == before.end()) return values;
  const auto turns = static_cast<double>(now->second.loop_turns - then->second.loop_turns);
  const auto delivered = static_cast<double>(now->second.events - then->second.events);
  values[kWaits].value = turns / interval.seconds;
  values[kEvents].value = delivered / interval.seconds;
  if (turns <= 0) return values;
  values[kBatch].value = delivered / turns;
  values[kHandler].value =
      static_cast<double>(now->second.handler_ns - then->second.handler_ns) / turns;
  return values;
}

template <typename Text>
std::string text_or_absent(const PlainValue& value, Text text_of) {
  const auto* number = std::get_if<double>(&value);
  return number == nullptr ? "-" : text_of(*number);
}

void print_row(const model::ThreadSched& thread, const NamedValues& values) {
  const auto rate = [](double value) { return count_text(value); };
  fmt::print(
      "{:24} {:>3} {:>6.1f} {:>7.1f} {:>7} {:>6} {:>6} {:>5} {:>7}\n",
      cut(fmt::format("{}[{}]", model::printable(thread.name), thread.tid), 24), thread.cpu,
      100 * thread.run_share, 100 * thread.delay_share, duration_text(thread.delay_ns_mean),
      text_or_absent(values[kWaits].value, rate), text_or_absent(values[kEvents].value, rate),
      text_or_absent(values[kBatch].value, [](double mean) { return fmt::format("{:.1f}", mean); }),
      text_or_absent(values[kHandler].value,
                     [](double ns) { return duration_text(static_cast<uint64_t>(ns)); }));
}

void print_notes(const StatOptions& options, pid_t pid, const std::string& why, bool page) {
  fmt::print("# {}[{}], procfs backend, every {} s\n", model::printable(kernel::process_name(pid)),
             pid, options.interval_s);
  fmt::print("# why not BPF: {}\n", why);
  fmt::print(
      "# absent: queue depth, backlog, ready to woken, running to delivered, ready to delivered,\n"
      "#   empty wake-ups\n"
      "# estimated: woken to running, as the mean run-queue delay per time slice (schedstat)\n");
  fmt::print("{}\n",
             page ? "# from the server's stats page: waits, events, mean batch, mean handler time"
                  : "# absent: waits, events, batch, handler time (no stats page: not epulse-ws)");
}

// As the other backends have it: a table, or lines for programs.
class ProcfsOutput {
 public:
  explicit ProcfsOutput(const StatOptions& options) : options_(options) {}

  void start(pid_t pid, const std::string& why, bool page) {
    if (options_.json) {
      JsonLine line("start");
      line.member("time", static_cast<uint64_t>(time(nullptr)));
      line.member("target", fmt::format("{}[{}]", kernel::process_name(pid), pid));
      print_text(line.member("backend", "procfs").member("why", why).finish());
    } else if (options_.separator.empty()) {
      print_notes(options_, pid, why, page);
    }
    flush_output();
  }

  void interval(const model::SchedInterval& interval, const ServerCounters& before,
                const ServerCounters& after) {
    JsonLine line("interval");
    line.member("time", static_cast<uint64_t>(time(nullptr)));
    line.member("duration_ns", static_cast<uint64_t>(interval.seconds * 1e9));
    line.key("threads").begin_array();
    if (!options_.json && options_.separator.empty()) {
      fmt::print("{:24} {:>3} {:>6} {:>7} {:>7} {:>6} {:>6} {:>5} {:>7}\n", "THREAD", "CPU", "RUN%",
                 "DELAY%", "DLY/RUN", "WAIT/s", "EVTS/s", "BATCH", "HANDLER");
    }
    for (const model::ThreadSched& thread : interval.threads) {
      if (thread.timeslices_per_second == 0) continue;
      const NamedValues values = thread_values(interval, thread, before, after);
      if (options_.json) {
        line.begin_object();
        for (const NamedValue& value : values) line.member(value.name, value.value);
        line.end_object();
      } else if (!options_.separator.empty()) {
        if (!named_) print_text(names_line(values, options_.separator));
        named_ = true;
        print_text(values_line(values, options_.separator));
      } else {
        print_row(thread, values);
      }
    }
    line.end_array();
    if (options_.json) print_text(line.finish());
    flush_output();
  }

 private:
  const StatOptions& options_;
  bool named_ = false;
};

}  // namespace

int run_procfs_stat(const StatOptions& options, pid_t pid, Watch& watch, const std::string& why) {
  const auto page = kernel::StatsPage::open(pid);
  ProcfsOutput output(options);
  output.start(pid, why, page != nullptr);
  watch.start(options.interval_s);
  kernel::SchedSampler sampler(pid);
  ServerCounters before = read_server(page.get());
  for (uint64_t n = 0; options.count == 0 || n < options.count; ++n) {
    if (watch.next() != Watch::Event::kTick) break;
    const ServerCounters after = read_server(page.get());
    output.interval(sampler.sample(), before, after);
    before = after;
  }
  return 0;
}

}  // namespace epulse::cli
