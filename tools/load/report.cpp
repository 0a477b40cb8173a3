#include "tools/load/report.hpp"

#include <fmt/format.h>

#include <iterator>
#include <string_view>

namespace epulse::load {
namespace {

constexpr std::uint64_t kLagThatMattersNs = 100'000;

double us(std::uint64_t ns) {
  return static_cast<double>(ns) / 1e3;
}

double per_second(std::uint64_t count, double seconds) {
  return seconds > 0 ? static_cast<double>(count) / seconds : 0;
}

std::string pace_text(const Options& options) {
  if (options.open_loop()) {
    return fmt::format("open loop, {:g} msg/s due, latency from the due time", options.rate);
  }
  const std::uint32_t count = options.broadcast ? options.window : options.pipeline;
  return fmt::format("closed loop, {} in flight per {}",
                     count == 1 ? "one message" : fmt::format("{} messages", count),
                     options.broadcast ? "publisher" : "connection");
}

std::string mode_text(const Options& options) {
  if (options.handshakes) return "handshakes, from connect to the server's answer; no messages";
  return (options.broadcast ? "broadcast, " : "") + pace_text(options);
}

std::string_view mode_name(const Options& options) {
  if (options.broadcast) return "broadcast";
  if (options.open_loop()) return "open";
  return options.handshakes ? "handshakes" : "closed";
}

std::string traffic_text(const Options& options, const Totals& totals, double elapsed_s) {
  const double rate = per_second(totals.received_in_time, elapsed_s);
  if (options.broadcast) {
    return fmt::format("messages     {} published, {} delivered in {:.2f} s: {:.0f} deliveries/s\n",
                       totals.sent, totals.received, elapsed_s, rate);
  }
  return fmt::format("{:13}{} sent, {} received in {:.2f} s: {:.0f} {}/s\n",
                     options.handshakes ? "handshakes" : "messages", totals.sent, totals.received,
                     elapsed_s, rate, options.handshakes ? "handshakes" : "msg");
}

}  // namespace

void Totals::add(const Counters& counters) {
  sent += counters.sent.load(std::memory_order_relaxed);
  received += counters.received.load(std::memory_order_relaxed);
  connected += counters.connected.load(std::memory_order_relaxed);
  opened += counters.opened.load(std::memory_order_relaxed);
  compressed += counters.compressed.load(std::memory_order_relaxed);
  for (std::size_t kind = 0; kind < errors.size(); ++kind) {
    const std::uint64_t count = counters.errors[kind].load(std::memory_order_relaxed);
    errors[kind] += count;
    // These had been taken for lost when later ones came.
    if (kind == index_of(ErrorKind::kOrder)) errors[index_of(ErrorKind::kLost)] -= count;
  }
  latency.add(counters.latency.snapshot());
  lag.add(counters.lag.snapshot());
}

std::uint64_t Totals::error_total() const {
  std::uint64_t sum = 0;
  for (const std::uint64_t count : errors) sum += count;
  return sum;
}

std::string duration_text(std::uint64_t ns) {
  if (ns < 1'000'000) return fmt::format("{:.0f} us", us(ns));
  if (ns < 1'000'000'000) return fmt::format("{:.3g} ms", us(ns) / 1e3);
  return fmt::format("{:.3g} s", us(ns) / 1e6);
}

std::string interval_text(const Interval& interval) {
  const Distribution& latency = interval.latency;
  return fmt::format(
      "[{:5.1f}s] {:.0f} msg/s  p50 {}  p99 {}  p99.9 {}  {} conn  {} errors\n", interval.end_s,
      per_second(interval.messages, interval.length_s), duration_text(latency.quantile_ns(0.5)),
      duration_text(latency.quantile_ns(0.99)), duration_text(latency.quantile_ns(0.999)),
      interval.connected, interval.errors);
}

std::string interval_json(const Interval& interval) {
  const Distribution& latency = interval.latency;
  return fmt::format(
      R"({{"schema_version":1,"type":"interval","time_s":{:.3f},"messages":{},"p50_us":{:.3f},)"
      R"("p99_us":{:.3f},"p999_us":{:.3f},"max_us":{:.3f},"connections":{},"errors":{}}})"
      "\n",
      interval.end_s, interval.messages, us(latency.quantile_ns(0.5)),
      us(latency.quantile_ns(0.99)), us(latency.quantile_ns(0.999)), us(latency.max_ns),
      interval.connected, interval.errors);
}

bool generator_was_late(const Totals& totals) {
  const std::uint64_t lag = totals.lag.quantile_ns(0.99);
  return lag > kLagThatMattersNs && lag * 2 > totals.latency.quantile_ns(0.99);
}

std::string summary_text(const Options& options, const Totals& totals, double elapsed_s) {
  const Distribution& latency = totals.latency;
  std::string out;
  auto append = std::back_inserter(out);
  fmt::format_to(append, "mode         {}\n", mode_text(options));
  fmt::format_to(append, "connections  {} of {} opened, {} bytes per message\n", totals.opened,
                 options.connections, options.size_bytes);
  if (options.broadcast) {
    fmt::format_to(append, "publishers   {} of the connections\n", options.publishers);
  }
  if (options.compression) {
    fmt::format_to(append, "compression  permessage-deflate on {} of {} connections\n",
                   totals.compressed, totals.opened);
  }
  out += traffic_text(options, totals, elapsed_s);
  fmt::format_to(append, "latency      p50 {}  p90 {}  p99 {}  p99.9 {}  max {}\n",
                 duration_text(latency.quantile_ns(0.5)), duration_text(latency.quantile_ns(0.9)),
                 duration_text(latency.quantile_ns(0.99)),
                 duration_text(latency.quantile_ns(0.999)), duration_text(latency.max_ns));
  fmt::format_to(append, "errors       {}", totals.error_total());
  for (std::size_t kind = 0; kind < kErrorNames.size(); ++kind) {
    if (totals.errors[kind] != 0) {
      fmt::format_to(append, "  {} {}", kErrorNames[kind], totals.errors[kind]);
    }
  }
  out += '\n';
  if (generator_was_late(totals)) {
    fmt::format_to(append,
                   "warning: epulse-load itself was late (p99 {} behind its timetable): these "
                   "latencies are not the server's alone; use more --threads or free a CPU\n",
                   duration_text(totals.lag.quantile_ns(0.99)));
  }
  return out;
}

std::string summary_json(const Options& options, const Totals& totals, double elapsed_s) {
  const Distribution& latency = totals.latency;
  std::string errors;
  for (std::size_t kind = 0; kind < kErrorNames.size(); ++kind) {
    errors +=
        fmt::format(R"({}"{}":{})", kind == 0 ? "" : ",", kErrorNames[kind], totals.errors[kind]);
  }
  return fmt::format(
      R"({{"schema_version":1,"type":"summary","mode":"{}","connections":{},"opened":{},)"
      R"("compressed":{},"pipeline":{},"publishers":{},"window":{},"size_bytes":{},)"
      R"("elapsed_s":{:.3f},"rate_due":{:g},)"
      R"("sent":{},"received":{},)"
      R"("rate":{:.1f},"p50_us":{:.3f},"p90_us":{:.3f},"p99_us":{:.3f},"p999_us":{:.3f},)"
      R"("max_us":{:.3f},"lag_p99_us":{:.3f},"generator_late":{},"errors_total":{},)"
      R"("errors":{{{}}}}})"
      "\n",
      mode_name(options), options.connections, totals.opened, totals.compressed, options.pipeline,
      options.broadcast ? options.publishers : 0, options.broadcast ? options.window : 0,
      options.size_bytes, elapsed_s, options.rate, totals.sent, totals.received,
      per_second(totals.received_in_time, elapsed_s), us(latency.quantile_ns(0.5)),
      us(latency.quantile_ns(0.9)), us(latency.quantile_ns(0.99)), us(latency.quantile_ns(0.999)),
      us(latency.max_ns), us(totals.lag.quantile_ns(0.99)), generator_was_late(totals),
      totals.error_total(), errors);
}

}  // namespace epulse::load
