#include "tools/load/step_report.hpp"

#include <fmt/format.h>

#include <variant>

#include "tools/load/duration_text.hpp"

namespace epulse::load {

std::string_view name_of(Verdict verdict) {
  switch (verdict) {
    case Verdict::kHeld:
      return "held";
    case Verdict::kMissed:
      return "missed";
    case Verdict::kUnsound:
      return "unsound";
  }
  return "";
}

std::string latency_text(const Distribution& latency, double share) {
  if (latency.total() == 0) return "-";
  return duration_text(share < 1 ? latency.quantile_ns(share) : latency.max_ns);
}

std::string step_text(const Result& step) {
  const Distribution& latency = step.totals.latency;
  std::string out = fmt::format(
      "{:g} msg/s due: {:.0f} msg/s  p50 {}  p99 {}  p99.9 {}  {} errors{}", step.rate_due,
      step.rate(), latency_text(latency, 0.5), latency_text(latency, 0.99),
      latency_text(latency, 0.999), step.totals.error_total(), kinds_text(step.totals.errors));
  if (step.verdict && *step.verdict != Verdict::kUnsound) {
    out += fmt::format("  {}", name_of(*step.verdict));
  }
  for (const std::string& reason : unsound_reasons(step)) out += "  unsound: " + reason;
  return out;
}

void add_step(JsonLine& line, const Result& step) {
  const Totals& totals = step.totals;
  line.member("rate_due", step.rate_due).member("elapsed_s", step.elapsed_s);
  line.member("sent", totals.sent).member("received", totals.received);
  line.member("rate", step.rate()).member("p50_us", us(totals.latency.quantile_ns(0.5)));
  line.member("p99_us", us(totals.latency.quantile_ns(0.99)));
  line.member("p999_us", us(totals.latency.quantile_ns(0.999)));
  line.member("max_us", us(totals.latency.max_ns));
  line.member("lag_p99_us", us(totals.lag.quantile_ns(0.99)));
  add_unsound(line, step);
  line.member("errors_total", totals.error_total());
  add_kinds(line, "errors", totals.errors);
  if (step.verdict) line.member("verdict", name_of(*step.verdict));
}

std::string ramp_text(const Options& options, const RampEnd& ramp) {
  const std::string& target = options.ramp->text;
  std::string_view early = ramp.stopped ? ", so far" : "";
  if (ramp.lost) early = ", until the server could not be reached";
  if (!ramp.held && !ramp.not_held) {
    return fmt::format("{}: no rate was tried to the end{}", target, ramp.lost ? early : "");
  }
  const std::string why =
      ramp.generator_bound ? " (unsound there: the limit may be epulse-load's own)" : "";
  if (!ramp.held) {
    return fmt::format("{}: no rate held it, down to {:g} msg/s{}{}", target, *ramp.not_held, why,
                       early);
  }
  if (!ramp.not_held) {
    return fmt::format("{}: held up to {:g} msg/s{}", target, *ramp.held,
                       !early.empty() ? early : ", the highest that may be tried (--ramp-max)");
  }
  return fmt::format("{}: held up to {:g} msg/s, not at {:g}{}{}", target, *ramp.held,
                     *ramp.not_held, why, early);
}

void add_ramp(JsonLine& line, const Options& options, const std::optional<RampEnd>& ramp) {
  if (!ramp) {
    line.member("ramp", std::monostate());
    return;
  }
  line.key("ramp").begin_object().member("target", options.ramp->text);
  line.member("rate", ramp->held).member("rate_not_held", ramp->not_held);
  line.member("generator_bound", ramp->generator_bound).member("stopped", ramp->stopped);
  line.member("lost", ramp->lost);
  line.end_object();
}

// "  closed 2  lost 5", of kinds that there are.
std::string kinds_text(const ErrorCounts& errors) {
  std::string out;
  for (std::size_t kind = 0; kind < kErrorNames.size(); ++kind) {
    if (errors[kind] != 0) out += fmt::format("  {} {}", kErrorNames[kind], errors[kind]);
  }
  return out;
}

void add_kinds(JsonLine& line, std::string_view name, const ErrorCounts& errors) {
  line.key(name).begin_object();
  for (std::size_t kind = 0; kind < kErrorNames.size(); ++kind) {
    line.member(kErrorNames[kind], errors[kind]);
  }
  line.end_object();
}

void add_unsound(JsonLine& line, const Result& result) {
  line.key("unsound").begin_array();
  for (const std::string& reason : unsound_reasons(result)) line.value(reason);
  line.end_array();
}

}  // namespace epulse::load
