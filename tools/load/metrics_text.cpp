#include "tools/load/metrics_text.hpp"

#include <fmt/format.h>

#include <array>
#include <cstdint>
#include <iterator>
#include <string_view>

namespace epulse::load {
namespace {

// Upper bounds, 10 us to 10 s: 1, 2, 5 in each decade.
constexpr std::array<std::uint64_t, 19> kBoundsUs = {
    10,    20,    50,     100,    200,    500,     1000,    2000,    5000,    10000,
    20000, 50000, 100000, 200000, 500000, 1000000, 2000000, 5000000, 10000000};

class Writer {
 public:
  void metric(std::string_view name, std::string_view type, std::string_view help) {
    fmt::format_to(append(), "# HELP {0} {2}\n# TYPE {0} {1}\n", name, type, help);
  }
  template <typename... Args>
  void line(fmt::format_string<Args...> format, Args&&... args) {
    fmt::format_to(append(), format, std::forward<Args>(args)...);
    text_ += '\n';
  }
  std::string take() { return std::move(text_); }

 private:
  std::back_insert_iterator<std::string> append() { return std::back_inserter(text_); }

  std::string text_;
};

void write_latency(const Distribution& latency, Writer& out) {
  constexpr std::string_view kName = "epulse_load_latency_seconds";
  out.metric(kName, "histogram", "From when a message was due to when its answer came.");
  std::uint64_t seen = 0;
  std::size_t slot = 0;
  for (const std::uint64_t bound_us : kBoundsUs) {
    for (; slot < kSlots && slot_last_ns(slot) <= bound_us * 1000; ++slot) {
      seen += latency.counts[slot];
    }
    out.line("{}_bucket{{le=\"{:g}\"}} {}", kName, static_cast<double>(bound_us) / 1e6, seen);
  }
  const std::uint64_t total = latency.total();
  out.line("{}_bucket{{le=\"+Inf\"}} {}", kName, total);
  out.line("{}_sum {:.6f}", kName, latency.mean_ns() * static_cast<double>(total) / 1e9);
  out.line("{}_count {}", kName, total);
}

void write_threads(const std::vector<SchedulerTimes>& threads, Writer& out) {
  if (threads.empty()) return;
  out.metric("epulse_load_thread_cpu_seconds_total", "counter", "CPU time of each load thread.");
  for (std::size_t k = 0; k < threads.size(); ++k) {
    out.line("epulse_load_thread_cpu_seconds_total{{thread=\"{}\"}} {:.6f}", k,
             static_cast<double>(threads[k].running_ns) / 1e9);
  }
  out.metric("epulse_load_thread_waiting_seconds_total", "counter",
             "Time that each load thread was ready to run and did not.");
  for (std::size_t k = 0; k < threads.size(); ++k) {
    out.line("epulse_load_thread_waiting_seconds_total{{thread=\"{}\"}} {:.6f}", k,
             static_cast<double>(threads[k].waiting_ns) / 1e9);
  }
}

}  // namespace

std::string metrics_text(const Totals& totals, const std::vector<SchedulerTimes>& threads) {
  Writer out;
  out.metric("epulse_load_connections", "gauge", "Connections that are open.");
  out.line("epulse_load_connections {}", totals.connected);
  out.metric("epulse_load_sent_total", "counter", "Messages or handshakes begun.");
  out.line("epulse_load_sent_total {}", totals.sent);
  out.metric("epulse_load_received_total", "counter", "Answers, deliveries or handshakes done.");
  out.line("epulse_load_received_total {}", totals.received);
  out.metric("epulse_load_errors_total", "counter", "Errors by kind; see docs/load.md.");
  for (std::size_t kind = 0; kind < kErrorNames.size(); ++kind) {
    // Never less than before, as a counter must be: what came late after all stays lost here.
    const bool lost = kind == index_of(ErrorKind::kLost);
    const std::uint64_t found = lost ? totals.errors[index_of(ErrorKind::kOrder)] : 0;
    out.line("epulse_load_errors_total{{kind=\"{}\"}} {}", kErrorNames[kind],
             totals.errors[kind] + found);
  }
  write_latency(totals.latency, out);
  write_threads(threads, out);
  return out.take();
}

}  // namespace epulse::load
