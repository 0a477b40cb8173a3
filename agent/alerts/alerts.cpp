#include "agent/alerts/alerts.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "common/counted.hpp"

namespace epulse::alerts {
namespace {

std::string with_unit(const AlertRule& rule, double value) {
  const std::string figure = value == std::trunc(value) || value >= 100
                                 ? fmt::format("{:.0f}", value)
                                 : fmt::format("{:.3g}", value);
  return rule.unit.empty() ? figure : fmt::format("{} {}", figure, rule.unit);
}

// "at or below 100 us for 3 intervals"
std::string well_text(const AlertRule& rule) {
  return fmt::format(
      "at or {} {} for {}", rule.comparison == Comparison::kAbove ? "below" : "above",
      with_unit(rule, rule.clear_threshold()), counted(rule.clear_intervals, "interval"));
}

// "alerts.depth_max, severity warning"
std::string source_text(const AlertRule& rule) {
  return fmt::format("{}, severity {}", rule.name, rule.severity);
}

std::string fired_text(const AlertRule& rule, const std::string& subject, double value) {
  return fmt::format("ALERT {} of {}: {} {} {} {} ({}); resolved when {}", rule.metric, subject,
                     rule.statistic, with_unit(rule, value),
                     rule.comparison == Comparison::kAbove ? ">" : "<",
                     with_unit(rule, rule.threshold), source_text(rule), well_text(rule));
}

std::string resolved_text(const AlertRule& rule, const std::string& subject, const std::string& why,
                          uint64_t fired_intervals, double worst) {
  return fmt::format("RESOLVED {} of {}: {} ({}); it fired for {}, worst {} {}", rule.metric,
                     subject, why, source_text(rule), counted(fired_intervals, "interval"),
                     rule.statistic, with_unit(rule, worst));
}

double worse(const AlertRule& rule, double a, double b) {
  return rule.comparison == Comparison::kAbove ? std::max(a, b) : std::min(a, b);
}

}  // namespace

bool AlertRule::is_beyond(double value) const {
  return comparison == Comparison::kAbove ? value > threshold : value < threshold;
}

// Not a number is nothing to be alarmed by.
bool AlertRule::is_well(double value) const {
  return comparison == Comparison::kAbove ? !(value > clear_threshold())
                                          : !(value < clear_threshold());
}

double AlertRule::clear_threshold() const {
  return threshold * (comparison == Comparison::kAbove ? 1 - hysteresis : 1 + hysteresis);
}

std::vector<AlertEvent> AlertEngine::interval(std::span<const Observation> observations,
                                              const std::set<size_t>& unjudged,
                                              const Reason& gone) {
  std::vector<AlertEvent> events;
  for (auto& [id, state] : states_) state.seen = unjudged.contains(id.first);
  for (const Observation& observation : observations) observe(observation, events);
  drop_unseen(gone, events);
  return events;
}

std::vector<AlertEvent> AlertEngine::end(const Reason& why) {
  std::vector<AlertEvent> events;
  for (auto& [id, state] : states_) state.seen = false;
  drop_unseen(why, events);
  return events;
}

void AlertEngine::drop_unseen(const Reason& why, std::vector<AlertEvent>& events) {
  std::erase_if(states_, [&](const auto& entry) {
    const auto& [id, state] = entry;
    if (state.seen) return false;
    if (state.firing) {
      const std::string reason = why(id.first, id.second);
      events.push_back({AlertEvent::Kind::kResolved, id.first, id.second, state.name,
                        state.reading.value,
                        resolved_text(rules_.at(id.first), state.name, reason,
                                      state.fired_intervals, state.reading.worst),
                        reason});
    }
    return true;
  });
}

void AlertEngine::observe(const Observation& observation, std::vector<AlertEvent>& events) {
  const AlertRule& rule = rules_.at(observation.rule);
  State& state = states_[{observation.rule, observation.subject}];
  if (!observation.judged) {
    state.seen = true;
    return;
  }
  const bool enough = observation.samples >= rule.min_samples;
  const bool beyond = enough && rule.is_beyond(observation.value);
  const bool well = !enough || rule.is_well(observation.value);
  state.seen = true;
  state.name = observation.name.empty() ? observation.subject : observation.name;
  if (enough) state.reading.value = observation.value;
  state.beyond = beyond ? state.beyond + 1 : 0;
  state.well = well ? state.well + 1 : 0;
  if (state.firing) ++state.fired_intervals;
  if (beyond) {
    const bool first = state.beyond == 1 && !state.firing;
    state.reading.worst =
        first ? observation.value : worse(rule, state.reading.worst, observation.value);
  }
  if (!state.firing && state.beyond >= rule.for_intervals) {
    fire(observation, state, events);
  } else if (state.firing && state.well >= rule.clear_intervals) {
    resolve(observation, state, events);
  }
}

void AlertEngine::fire(const Observation& observation, State& state,
                       std::vector<AlertEvent>& events) {
  state.firing = true;
  state.fired_intervals = state.beyond;
  events.push_back({AlertEvent::Kind::kFired, observation.rule, observation.subject, state.name,
                    observation.value,
                    fired_text(rules_.at(observation.rule), state.name, observation.value)});
}

void AlertEngine::resolve(const Observation& observation, State& state,
                          std::vector<AlertEvent>& events) {
  const AlertRule& rule = rules_.at(observation.rule);
  state.firing = false;
  const std::string why = observation.samples < rule.min_samples
                              ? fmt::format("only {} samples, at least {} make a {}",
                                            observation.samples, rule.min_samples, rule.statistic)
                              : fmt::format("{} {}, {}", rule.statistic,
                                            with_unit(rule, observation.value), well_text(rule));
  events.push_back(
      {AlertEvent::Kind::kResolved, observation.rule, observation.subject, state.name,
       state.reading.value,
       resolved_text(rule, state.name, why, state.fired_intervals - rule.clear_intervals,
                     state.reading.worst),
       why});
}

// Rounded down: nothing has lasted longer than it has.
void AlertEngine::State::scale_counts(double scale) {
  for (uint64_t* const count : {&beyond, &well, &fired_intervals}) {
    *count = static_cast<uint64_t>(static_cast<double>(*count) * scale);
  }
}

std::map<size_t, size_t> AlertEngine::take_over(AlertEngine& before,
                                                std::span<const AlertRule> theirs, double scale) {
  std::map<size_t, size_t> taken;
  for (size_t i = 0; i < theirs.size(); ++i) {
    const auto same = std::find(rules_.begin(), rules_.end(), theirs[i]);
    if (same != rules_.end()) taken[i] = static_cast<size_t>(same - rules_.begin());
  }
  std::erase_if(before.states_, [&](const auto& entry) {
    const auto& [id, state] = entry;
    const auto at = taken.find(id.first);
    if (at == taken.end()) return false;
    State& ours = states_[{at->second, id.second}];
    ours = state;
    // One that is the same with intervals of any length counts intervals, not time.
    if (before.rules_[id.first] != theirs[id.first]) ours.scale_counts(scale);
    return true;
  });
  return taken;
}

Reading AlertEngine::reading(size_t rule, const std::string& subject) const {
  return states_.at({rule, subject}).reading;
}

size_t AlertEngine::firing() const {
  return static_cast<size_t>(std::count_if(states_.begin(), states_.end(),
                                           [](const auto& entry) { return entry.second.firing; }));
}

}  // namespace epulse::alerts
