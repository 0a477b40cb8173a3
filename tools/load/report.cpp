#include "tools/load/report.hpp"

#include <fmt/format.h>

#include <iterator>

#include "common/json_line.hpp"
#include "tools/load/duration_text.hpp"
#include "tools/load/percentiles.hpp"
#include "tools/load/step_report.hpp"

namespace epulse::load {
namespace {

// Of several rates, how long each lasts.
std::string each_text(const Options& options) {
  if (options.steps() == 1) return {};
  return fmt::format(" for {} each", duration_text(options.step_ns()));
}

std::string pace_text(const Options& options) {
  if (options.ramp) {
    return fmt::format(
        "ramp, an open loop of {:g} s for each rate; below, the highest that held, or else the "
        "last",
        options.duration_s);
  }
  if (options.open_loop()) {
    return fmt::format("open loop, {:g} msg/s due{}, latency from the due time",
                       fmt::join(options.rates, ", "), each_text(options));
  }
  const std::uint32_t count = options.at_once();
  return fmt::format("closed loop, {} in flight per {}",
                     count == 1 ? "one message" : fmt::format("{} messages", count),
                     options.broadcast ? "publisher" : "connection");
}

std::string mode_text(const Options& options) {
  if (options.idle) return "idle, connections are held and pings answered";
  if (options.handshakes) return "handshakes, from connect to the server's answer; no messages";
  return (options.broadcast ? "broadcast, " : "") + pace_text(options);
}

std::string traffic_text(const Options& options, const Result& result) {
  const Totals& totals = result.totals;
  if (options.idle) {
    return fmt::format("held         {} for {:.2f} s; {} pings answered\n", result.connected_at_end,
                       result.elapsed_s, totals.pings);
  }
  if (options.broadcast) {
    return fmt::format("messages     {} published, {} delivered in {:.2f} s: {:.0f} deliveries/s\n",
                       totals.sent, totals.received, result.elapsed_s, result.rate());
  }
  return fmt::format("{:13}{} sent, {} received in {:.2f} s: {:.0f} {}/s\n",
                     options.handshakes ? "handshakes" : "messages", totals.sent, totals.received,
                     result.elapsed_s, result.rate(), options.handshakes ? "handshakes" : "msg");
}

// The generator's own share.
std::string generator_text(const Options& options, const Result& result) {
  std::string out = fmt::format("generator    {}; ", server::engine_name(options.engine));
  if (!result.threads.empty()) {
    const ThreadUse most = result.busiest();
    out += fmt::format("busiest thread {:.0f} % of a CPU, waiting for one {:.1f} % of the time; ",
                       most.running * 100, most.waiting * 100);
  }
  return out + fmt::format("{:.0f} MB\n", static_cast<double>(result.peak_bytes) / 1e6);
}

void add_generator(JsonLine& line, const Result& result) {
  line.member("lag_p99_us", us(result.totals.lag.quantile_ns(0.99)));
  line.member("generator_late", generator_was_late(result));
  line.member("generator_peak_bytes", result.peak_bytes).key("threads").begin_array();
  for (const ThreadUse& thread : result.threads) {
    line.begin_object().member("cpu_share", thread.running);
    line.member("wait_share", thread.waiting).end_object();
  }
  line.end_array();
  add_unsound(line, result);
}

void add_percentiles(JsonLine& line, const Distribution& latency) {
  line.key("percentiles").begin_array();
  for (const Percentile& point : percentile_curve(latency)) {
    line.begin_object().member("share", point.share).member("us", us(point.ns)).end_object();
  }
  line.end_array();
}

std::string_view name_of(ProcessMemory::Measure measure) {
  return measure == ProcessMemory::Measure::kPss ? "pss" : "rss";
}

std::string memory_text(const MemoryCost& memory) {
  return fmt::format(
      "memory       {:.0f} bytes per connection ({}, process {}: {} KiB before, {} KiB with {})\n",
      memory.per_connection(),
      memory.measure == ProcessMemory::Measure::kPss ? "Pss" : "Rss; its Pss may not be read",
      memory.pid, memory.before_bytes / 1024, memory.open_bytes / 1024, memory.connections);
}

void add_memory(JsonLine& line, const std::optional<MemoryCost>& memory) {
  line.key("memory");
  if (!memory) {
    line.value(std::monostate());
    return;
  }
  line.begin_object().member("pid", memory->pid).member("measure", name_of(memory->measure));
  line.member("before_bytes", memory->before_bytes).member("open_bytes", memory->open_bytes);
  line.member("connections", memory->connections);
  line.member("bytes_per_connection", memory->per_connection()).end_object();
}

void add_expectations(JsonLine& line, const Options& options, const Result& result) {
  line.key("expect").begin_array();
  for (const Expectation& expectation : options.expectations) {
    line.begin_object().member("expected", expectation.text);
    line.member("measured", expectation.measured_text(result));
    line.member("met", expectation.met(result)).end_object();
  }
  line.end_array();
}

}  // namespace

std::string_view mode_name(const Options& options) {
  if (options.ramp) return "ramp";
  if (options.broadcast) return "broadcast";
  if (options.idle) return "idle";
  if (options.open_loop()) return "open";
  return options.handshakes ? "handshakes" : "closed";
}

std::string interval_text(const Interval& interval) {
  const Distribution& latency = interval.latency;
  const double rate =
      interval.length_s > 0 ? static_cast<double>(interval.messages) / interval.length_s : 0;
  return fmt::format("[{:5.1f}s] {:.0f} msg/s  p50 {}  p99 {}  p99.9 {}  {} conn  {} errors{}\n",
                     interval.end_s, rate, latency_text(latency, 0.5), latency_text(latency, 0.99),
                     latency_text(latency, 0.999), interval.connected, interval.error_total(),
                     kinds_text(interval.errors));
}

std::string interval_json(const Interval& interval) {
  const Distribution& latency = interval.latency;
  JsonLine line("interval");
  line.member("time_s", interval.end_s).member("messages", interval.messages);
  line.member("p50_us", us(latency.quantile_ns(0.5)))
      .member("p99_us", us(latency.quantile_ns(0.99)));
  line.member("p999_us", us(latency.quantile_ns(0.999))).member("max_us", us(latency.max_ns));
  line.member("connections", interval.connected).member("errors_total", interval.error_total());
  add_kinds(line, "errors", interval.errors);
  return line.finish();
}

std::string summary_text(const Options& options, const Result& result) {
  const Totals& totals = result.totals;
  const Distribution& latency = totals.latency;
  std::string out;
  auto append = std::back_inserter(out);
  fmt::format_to(append, "mode         {}\n", mode_text(options));
  fmt::format_to(append, "connections  {} of {} opened{}\n", totals.opened, options.connections,
                 options.idle ? "" : fmt::format(", {} bytes per message", options.sizes.text()));
  if (options.broadcast) {
    fmt::format_to(append, "publishers   {} of the connections\n", options.publishers);
  }
  if (options.compression) {
    fmt::format_to(append, "compression  permessage-deflate on {} of {} connections\n",
                   totals.compressed, totals.opened);
  }
  if (options.tls_resume) {
    fmt::format_to(append, "tls          {} of {} handshakes resumed a session\n",
                   totals.tls_resumed, totals.tls_handshakes);
  }
  out += traffic_text(options, result);
  if (result.memory) out += memory_text(*result.memory);
  if (!options.idle) {
    fmt::format_to(append, "latency      p50 {}  p90 {}  p99 {}  p99.9 {}  max {}\n",
                   latency_text(latency, 0.5), latency_text(latency, 0.9),
                   latency_text(latency, 0.99), latency_text(latency, 0.999),
                   latency_text(latency, 1));
  }
  if (result.ramp) out += "ramp         " + ramp_text(options, *result.ramp) + '\n';
  // Probes were told as they came.
  for (const Result& step : result.steps) {
    if (!result.ramp) out += "step         " + step_text(step) + '\n';
  }
  fmt::format_to(append, "errors       {}{}\n", totals.error_total(), kinds_text(totals.errors));
  out += generator_text(options, result);
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
  JsonLine line("summary");
  line.member("mode", mode_name(options)).member("processes", options.processes);
  line.member("engine", server::engine_name(options.engine));
  line.member("connections", options.connections);
  line.member("opened", totals.opened).member("compressed", totals.compressed);
  line.member("tls_handshakes", totals.tls_handshakes).member("tls_resumed", totals.tls_resumed);
  line.member("pipeline", options.pipeline);
  line.member("publishers", options.broadcast ? options.publishers : 0);
  line.member("window", options.window).member("size_bytes", options.sizes.mean());
  line.member("sizes", options.sizes.text());
  line.member("connected_at_end", result.connected_at_end).member("pings", totals.pings);
  add_memory(line, result.memory);
  line.member("elapsed_s", result.elapsed_s).member("rate_due", result.rate_due);
  line.member("sent", totals.sent).member("received", totals.received);
  line.member("rate", result.rate()).member("p50_us", us(latency.quantile_ns(0.5)));
  line.member("p90_us", us(latency.quantile_ns(0.9)))
      .member("p99_us", us(latency.quantile_ns(0.99)));
  line.member("p999_us", us(latency.quantile_ns(0.999))).member("max_us", us(latency.max_ns));
  line.member("mean_us", latency.mean_ns() / 1e3);
  add_percentiles(line, latency);
  add_generator(line, result);
  line.member("errors_total", totals.error_total());
  add_kinds(line, "errors", totals.errors);
  line.key("steps").begin_array();
  for (const Result& step : result.steps) {
    line.begin_object();
    add_step(line, step);
    line.end_object();
  }
  line.end_array();
  add_ramp(line, options, result.ramp);
  add_expectations(line, options, result);
  return line.finish();
}

}  // namespace epulse::load
