#include "tools/load/ramp.hpp"

#include <utility>
#include <vector>

namespace epulse::load {
namespace {

// A load of one rate that says nothing by itself.
Options probe_options(const Options& options, double rate) {
  Options probe = options;
  probe.expectations.push_back(*options.ramp);  // for its percentile
  probe.ramp.reset();
  probe.rates = {rate};
  probe.progress_s = 0;
  return probe;
}

// The last that held: each that does is faster than those before it.
const Result* best_of(const std::vector<Result>& probes) {
  const Result* best = nullptr;
  for (const Result& probe : probes) {
    if (probe.verdict == Verdict::kHeld) best = &probe;
  }
  return best;
}

Result result_of(std::vector<Result> probes, const RateSearch& search, bool stopped, bool lost) {
  const Result* best = best_of(probes);
  Result result = best != nullptr ? *best : probes.back();
  result.verdict.reset();
  result.steps = std::move(probes);
  result.ramp = RampEnd{search.held(), search.not_held(), search.generator_bound(), stopped, lost};
  return result;
}

}  // namespace

Verdict verdict_on(const Expectation& target, const Result& result) {
  if (!unsound_reasons(result).empty()) return Verdict::kUnsound;
  const bool held = target.met(result) && result.totals.error_total() == 0;
  return held ? Verdict::kHeld : Verdict::kMissed;
}

std::optional<Result> ramp(const Options& options, const Target& target, SSL_CTX* tls,
                           Surroundings& surroundings) {
  RateSearch search(options.ramp_bounds);
  std::vector<Result> probes;
  bool stopped = false;
  bool lost = false;
  while (!stopped && search.next()) {
    const Options probe = probe_options(options, *search.next());
    Run run(probe, target, tls, surroundings);
    std::optional<Result> result = run.execute();
    if (!result && probes.empty()) return std::nullopt;
    if (!result) {  // which has been said; what was found until then is worth telling
      lost = true;
      break;
    }
    stopped = run.stopped();
    if (!stopped) {
      result->verdict = verdict_on(*options.ramp, *result);
      search.tell(*result->verdict);
      surroundings.outputs.probe(*result);
    }
    // One that was cut short tells nothing, but there must be a result.
    if (!stopped || probes.empty()) probes.push_back(std::move(*result));
  }
  return result_of(std::move(probes), search, stopped, lost);
}

}  // namespace epulse::load
