#include "tools/load/rate_options.hpp"

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include <algorithm>
#include <string>

#include "common/real_range.hpp"

namespace epulse::load {
namespace {

constexpr std::size_t kMaxSteps = 100;  // half a megabyte each, of every thread
constexpr double kProbeDurationS = 3;
constexpr double kMinRate = 0.001;
constexpr double kMaxRate = 1e9;

void add_ramp_option(CLI::App& app, Options& options) {
  CLI::Option* ramp =
      app.add_option_function<std::string>(
             "--ramp",
             [&options](const std::string& text) {
               options.ramp = parse_expectation(text);
               if (options.ramp && options.ramp->bounds_latency()) return;
               throw CLI::ValidationError(
                   "--ramp",
                   fmt::format("'{}' is no target; write p99<2ms, p99.9<=10ms or max<50ms", text));
             },
             "Look for the highest rate that meets this, by bisection; each probe takes "
             "--step-duration")
          ->excludes(app.get_option("--rate"))
          ->excludes(app.get_option("--duration"));
  SearchBounds& bounds = options.ramp_bounds;
  const CLI::Range rates(kMinRate, kMaxRate);
  app.add_option("--ramp-start", bounds.start, "The first rate, messages per second")
      ->check(rates)
      ->needs(ramp);
  app.add_option("--ramp-min", bounds.lowest, "No rate is below")->check(rates)->needs(ramp);
  app.add_option("--ramp-max", bounds.highest, "No rate is above")->check(rates)->needs(ramp);
  app.add_option("--ramp-precision", bounds.precision,
                 "The rate that is found and the next that does not hold differ by this share at "
                 "most")
      ->check(real_range(0.01, 1.0))
      ->needs(ramp);
}

void check_ramp(const CLI::App& app, SearchBounds& bounds) {
  if (app.count("--ramp-start") == 0) {
    bounds.start =
        std::clamp(bounds.start, std::min(bounds.lowest, bounds.highest), bounds.highest);
  }
  if (bounds.lowest <= bounds.start && bounds.start <= bounds.highest) return;
  throw CLI::ValidationError("--ramp-start",
                             fmt::format("{:g} is not between --ramp-min {:g} and --ramp-max {:g}",
                                         bounds.start, bounds.lowest, bounds.highest));
}

}  // namespace

void RateOptions::add(CLI::App& app, Options& options) {
  app.add_option("-r,--rate", options.rates,
                 "Messages per second over all connections; several: one after the other, each "
                 "for its share of --duration")
      ->delimiter(',')
      ->allow_extra_args(false)
      ->check(real_range(kMinRate, kMaxRate))
      ->default_str("as fast as answers come");
  app.add_option("--step-duration", step_duration_s_,
                 "Seconds for each --rate, instead of a share, or for each probe of a --ramp")
      ->check(real_range(0.01, 1e7))
      ->excludes(app.get_option("--duration"))
      ->default_str(fmt::format("{:g} with --ramp", kProbeDurationS));
  add_ramp_option(app, options);
}

void RateOptions::finish(const CLI::App& app, Options& options) const {
  if (options.rates.size() > kMaxSteps) {
    throw CLI::ValidationError("--rate", fmt::format("at most {} of them", kMaxSteps));
  }
  if (options.rates.size() > 1 && options.broadcast) {
    throw CLI::ValidationError("--rate", "one for all with --broadcast; load once for each");
  }
  if (options.ramp) {
    check_ramp(app, options.ramp_bounds);
    options.duration_s = step_duration_s_.value_or(kProbeDurationS);
  } else if (step_duration_s_) {
    if (options.rates.empty()) {
      throw CLI::ValidationError("--step-duration", "only with --rate or --ramp");
    }
    options.duration_s = *step_duration_s_ * static_cast<double>(options.steps());
  }
}

}  // namespace epulse::load
