#include "agent/alerts/alerts.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace epulse::alerts {
namespace {

std::string with_unit(const AlertRule& rule, double value) {
  const std::string figure = value == std::trunc(value) || value >= 100
                                 ? fmt::format("{:.0f}", value)
                                 : fmt::format("{:.3g}", value);
  return rule.unit.empty() ? figure : fmt::format("{} {}", figure, rule.unit);
}

std::string intervals(uint64_t count) {
  return fmt::format("{} interval{}", count, count == 1 ? "" : "s");
}

std::string fired_text(const AlertRule& rule, const std::string& subject, double value) {
  return fmt::format("ALERT {} of {}: {} {} > {} ({}); resolved when at or below {} for {}",
                     rule.metric, subject, rule.statistic, with_unit(rule, value),
                     with_unit(rule, rule.threshold), rule.name, with_unit(rule, rule.threshold),
                     intervals(rule.clear_intervals));
}

std::string resolved_text(const AlertRule& rule, const std::string& subject, const std::string& why,
                          uint64_t fired_intervals, double worst) {
  return fmt::format("RESOLVED {} of {}: {} ({}); it fired for {}, worst {} {}", rule.metric,
                     subject, why, rule.name, intervals(fired_intervals), rule.statistic,
                     with_unit(rule, worst));
}

}  // namespace

std::vector<AlertEvent> AlertEngine::interval(std::span<const Observation> observations) {
  std::vector<AlertEvent> events;
  for (auto& [id, state] : states_) state.seen = false;
  for (const Observation& observation : observations) observe(observation, events);
  for (auto at = states_.begin(); at != states_.end();) {
    const auto& [id, state] = *at;
    if (state.seen) {
      ++at;
      continue;
    }
    if (state.firing) {
      events.push_back({AlertEvent::Kind::kResolved, id.first, id.second, state.last,
                        resolved_text(rules_.at(id.first), id.second, "it is gone",
                                      state.fired_intervals, state.worst)});
    }
    at = states_.erase(at);
  }
  return events;
}

void AlertEngine::observe(const Observation& observation, std::vector<AlertEvent>& events) {
  const AlertRule& rule = rules_.at(observation.rule);
  State& state = states_[{observation.rule, observation.subject}];
  state.seen = true;
  state.last = observation.value;
  const bool above = observation.samples >= rule.min_samples && observation.value > rule.threshold;
  state.above = above ? state.above + 1 : 0;
  state.below = above ? 0 : state.below + 1;
  if (state.firing) ++state.fired_intervals;
  if (above)
    state.worst = state.above == 1 && !state.firing ? observation.value
                                                    : std::max(state.worst, observation.value);

  if (!state.firing && state.above >= rule.for_intervals) {
    state.firing = true;
    state.fired_intervals = state.above;
    events.push_back({AlertEvent::Kind::kFired, observation.rule, observation.subject,
                      observation.value, fired_text(rule, observation.subject, observation.value)});
  } else if (state.firing && state.below >= rule.clear_intervals) {
    state.firing = false;
    const std::string why =
        observation.samples < rule.min_samples
            ? fmt::format("only {} samples, at least {} make a {}", observation.samples,
                          rule.min_samples, rule.statistic)
            : fmt::format("{} {}, at or below {} for {}", rule.statistic,
                          with_unit(rule, observation.value), with_unit(rule, rule.threshold),
                          intervals(rule.clear_intervals));
    events.push_back({AlertEvent::Kind::kResolved, observation.rule, observation.subject,
                      observation.value,
                      resolved_text(rule, observation.subject, why,
                                    state.fired_intervals - rule.clear_intervals, state.worst)});
  }
}

size_t AlertEngine::firing() const {
  return static_cast<size_t>(std::count_if(states_.begin(), states_.end(),
                                           [](const auto& entry) { return entry.second.firing; }));
}

}  // namespace epulse::alerts
