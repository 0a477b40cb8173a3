#include "tools/load/report.hpp"

#include <fmt/format.h>

#include <iterator>

#include "tools/load/duration_text.hpp"
#include "tools/load/json_text.hpp"

namespace epulse::load {
namespace {

double us(std::uint64_t ns) {
  return static_cast<double>(ns) / 1e3;
}

std::string pace_text(const Options& options) {
  if (options.open_loop()) {
    return fmt::format("open loop, {:g} msg/s due, latency from the due time", options.rate);
  }
  const std::uint32_t count = options.at_once();
  return fmt::format("closed loop, {} in flight per {}",
                     count == 1 ? "one message" : fmt::format("{} messages", count),
                     options.broadcast ? "publisher" : "connection");
}

std::string mode_text(const Options& options) {
  if (options.handshakes) return "handshakes, from connect to the server's answer; no messages";
  return (options.broadcast ? "broadcast, " : "") + pace_text(options);
}

std::string traffic_text(const Options& options, const Result& result) {
  const Totals& totals = result.totals;
  if (options.broadcast) {
    return fmt::format("messages     {} published, {} delivered in {:.2f} s: {:.0f} deliveries/s\n",
                       totals.sent, totals.received, result.elapsed_s, result.rate());
  }
  return fmt::format("{:13}{} sent, {} received in {:.2f} s: {:.0f} {}/s\n",
                     options.handshakes ? "handshakes" : "messages", totals.sent, totals.received,
                     result.elapsed_s, result.rate(), options.handshakes ? "handshakes" : "msg");
}

// "  closed 2  lost 5", of kinds that there are.
std::string kinds_text(const ErrorCounts& errors) {
  std::string out;
  for (std::size_t kind = 0; kind < kErrorNames.size(); ++kind) {
    if (errors[kind] != 0) out += fmt::format("  {} {}", kErrorNames[kind], errors[kind]);
  }
  return out;
}

std::string kinds_json(const ErrorCounts& errors) {
  std::string out;
  for (std::size_t kind = 0; kind < kErrorNames.size(); ++kind) {
    out += fmt::format(R"({}"{}":{})", kind == 0 ? "" : ",", kErrorNames[kind], errors[kind]);
  }
  return "{" + out + "}";
}

// The generator's own share.
std::string generator_text(const Result& result) {
  std::string out = "generator    ";
  if (!result.threads.empty()) {
    const ThreadUse most = result.busiest();
    out += fmt::format("busiest thread {:.0f} % of a CPU, waiting for one {:.1f} % of the time; ",
                       most.running * 100, most.waiting * 100);
  }
  return out + fmt::format("{:.0f} MB\n", static_cast<double>(result.peak_bytes) / 1e6);
}

std::string generator_json(const Result& result) {
  std::string threads;
  for (const ThreadUse& thread : result.threads) {
    threads += fmt::format(R"({}{{"cpu_share":{:.4f},"wait_share":{:.4f}}})",
                           threads.empty() ? "" : ",", thread.running, thread.waiting);
  }
  std::string reasons;
  for (const std::string& reason : unsound_reasons(result)) {
    reasons += fmt::format(R"({}"{}")", reasons.empty() ? "" : ",", json_escaped(reason));
  }
  return fmt::format(R"("lag_p99_us":{:.3f},"generator_late":{},"generator_peak_bytes":{},)"
                     R"("threads":[{}],"unsound":[{}])",
                     us(result.totals.lag.quantile_ns(0.99)), generator_was_late(result.totals),
                     result.peak_bytes, threads, reasons);
}

std::string expectations_json(const Options& options, const Result& result) {
  std::string out;
  for (const Expectation& expectation : options.expectations) {
    out += fmt::format(R"({}{{"expected":"{}","measured":"{}","met":{}}})", out.empty() ? "" : ",",
                       json_escaped(expectation.text), expectation.measured_text(result),
                       expectation.met(result));
  }
  return "[" + out + "]";
}

}  // namespace

std::string_view mode_name(const Options& options) {
  if (options.broadcast) return "broadcast";
  if (options.open_loop()) return "open";
  return options.handshakes ? "handshakes" : "closed";
}

std::string interval_text(const Interval& interval) {
  const Distribution& latency = interval.latency;
  const double rate =
      interval.length_s > 0 ? static_cast<double>(interval.messages) / interval.length_s : 0;
  return fmt::format("[{:5.1f}s] {:.0f} msg/s  p50 {}  p99 {}  p99.9 {}  {} conn  {} errors{}\n",
                     interval.end_s, rate, duration_text(latency.quantile_ns(0.5)),
                     duration_text(latency.quantile_ns(0.99)),
                     duration_text(latency.quantile_ns(0.999)), interval.connected,
                     interval.error_total(), kinds_text(interval.errors));
}

std::string interval_json(const Interval& interval) {
  const Distribution& latency = interval.latency;
  return fmt::format(
      R"({{"schema_version":1,"type":"interval","time_s":{:.3f},"messages":{},"p50_us":{:.3f},)"
      R"("p99_us":{:.3f},"p999_us":{:.3f},"max_us":{:.3f},"connections":{},"errors":{},)"
      R"("errors_by_kind":{}}})"
      "\n",
      interval.end_s, interval.messages, us(latency.quantile_ns(0.5)),
      us(latency.quantile_ns(0.99)), us(latency.quantile_ns(0.999)), us(latency.max_ns),
      interval.connected, interval.error_total(), kinds_json(interval.errors));
}

std::string summary_text(const Options& options, const Result& result) {
  const Totals& totals = result.totals;
  const Distribution& latency = totals.latency;
  std::string out;
  auto append = std::back_inserter(out);
  fmt::format_to(append, "mode         {}\n", mode_text(options));
  fmt::format_to(append, "connections  {} of {} opened, {} bytes per message\n", totals.opened,
                 options.connections, options.sizes.text());
  if (options.broadcast) {
    fmt::format_to(append, "publishers   {} of the connections\n", options.publishers);
  }
  if (options.compression) {
    fmt::format_to(append, "compression  permessage-deflate on {} of {} connections\n",
                   totals.compressed, totals.opened);
  }
  out += traffic_text(options, result);
  fmt::format_to(append, "latency      p50 {}  p90 {}  p99 {}  p99.9 {}  max {}\n",
                 duration_text(latency.quantile_ns(0.5)), duration_text(latency.quantile_ns(0.9)),
                 duration_text(latency.quantile_ns(0.99)),
                 duration_text(latency.quantile_ns(0.999)), duration_text(latency.max_ns));
  fmt::format_to(append, "errors       {}{}\n", totals.error_total(), kinds_text(totals.errors));
  out += generator_text(result);
  for (const std::string& reason : unsound_reasons(result)) {
    fmt::format_to(append,
                   "unsound      {}; these figures are not the server's alone: use more --threads, "
                   "or free a CPU\n",
                   reason);
  }
  return out;
}

std::string summary_json(const Options& options, const Result& result) {
  const Totals& totals = result.totals;
  const Distribution& latency = totals.latency;
  return fmt::format(
      R"({{"schema_version":1,"type":"summary","mode":"{}","processes":{},"connections":{},"opened":{},)"
      R"("compressed":{},"pipeline":{},"publishers":{},"window":{},"size_bytes":{:.0f},"sizes":"{}",)"
      R"("elapsed_s":{:.3f},"rate_due":{:g},)"
      R"("sent":{},"received":{},)"
      R"("rate":{:.1f},"p50_us":{:.3f},"p90_us":{:.3f},"p99_us":{:.3f},"p999_us":{:.3f},)"
      R"("max_us":{:.3f},"mean_us":{:.3f},{},"errors_total":{},"errors":{},"expect":{}}})"
      "\n",
      mode_name(options), options.processes, options.connections, totals.opened, totals.compressed,
      options.pipeline, options.broadcast ? options.publishers : 0, options.window,
      options.sizes.mean(), options.sizes.text(), result.elapsed_s, options.rate, totals.sent,
      totals.received, result.rate(), us(latency.quantile_ns(0.5)), us(latency.quantile_ns(0.9)),
      us(latency.quantile_ns(0.99)), us(latency.quantile_ns(0.999)), us(latency.max_ns),
      latency.mean_ns() / 1e3, generator_json(result), totals.error_total(),
      kinds_json(totals.errors), expectations_json(options, result));
}

}  // namespace epulse::load
