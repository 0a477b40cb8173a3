#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <set>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "agent/alerts/alarm.hpp"

namespace epulse::alerts {

enum class Comparison {
  kAbove,  // a value above the threshold is one too many
  kBelow,
};

struct AlertRule {
  std::string name;       // its configuration key: "alerts.depth_max"
  std::string metric;     // "ready-queue depth"
  std::string statistic;  // "max", "p99"
  std::string unit;       // "us"; empty for a count
  double threshold = 0;   // the threshold itself is well
  uint64_t for_intervals = 2;
  uint64_t clear_intervals = 3;
  uint64_t min_samples = 0;  // of a quantile: with fewer the value does not count as beyond
  Comparison comparison = Comparison::kAbove;
  // Hysteresis: a share of the threshold by which a value must be back before it counts as well.
  double hysteresis = 0;
  std::string severity = "warning";
  std::map<std::string, std::string> labels = {};  // for the receivers
  std::string alert_name = {};                     // theirs: "EpulseReadyQueueDeep"

  bool is_beyond(double value) const;
  bool is_well(double value) const;  // neither of the two: within the hysteresis
  double clear_threshold() const;
  bool operator==(const AlertRule&) const = default;
};

// One figure of one interval.
struct Observation {
  size_t rule = 0;      // index into the engine's rules
  std::string subject;  // whose it is, for as long as that lives: "thread 4711 epfd 5"
  double value = 0;
  uint64_t samples = 0;
  // What people call it now, "ws-worker-1[4711] epfd 5"; empty: as `subject`.
  std::string name = {};
  bool judged = true;  // false: it is there, and nothing is known of it this time
};

struct AlertEvent {
  enum class Kind { kFired, kResolved };
  Kind kind = Kind::kFired;
  size_t rule = 0;
  std::string subject;
  std::string name;
  double value = 0;
  std::string text;      // one line
  std::string why = {};  // it is resolved: "max 12, at or below 500 for 3 intervals"
};

// Why nothing is known any more of a subject that a rule looked at.
using Reason = std::function<std::string(size_t rule, const std::string& subject)>;

class AlertEngine {
 public:
  explicit AlertEngine(std::vector<AlertRule> rules) : rules_(std::move(rules)) {}

  // All figures of an interval at once: a subject that is not among them has vanished, as `gone`
  // explains. Of the rules in `unjudged` nothing is known this time: all stays as it is.
  std::vector<AlertEvent> interval(
      std::span<const Observation> observations, const std::set<size_t>& unjudged = {},
      const Reason& gone = [](size_t, const std::string&) { return "it is gone"; });

  // Nothing will be observed any more: what fires is resolved, for `why`.
  std::vector<AlertEvent> end(const Reason& why);

  // What `before` knows by rules that are the same here; it forgets that. `theirs` are its rules as
  // they are with intervals like ours, `scale` of which make one of its. Returns which rule of its
  // became which of ours.
  std::map<size_t, size_t> take_over(AlertEngine& before, std::span<const AlertRule> theirs,
                                     double scale);

  // Of one that fires. An interval of too few samples has no figure: the one before it stays.
  Reading reading(size_t rule, const std::string& subject) const;

  size_t firing() const;
  const std::vector<AlertRule>& rules() const { return rules_; }

 private:
  struct State {
    std::string name;
    uint64_t beyond = 0;  // consecutive intervals
    uint64_t well = 0;
    uint64_t fired_intervals = 0;
    bool firing = false;
    Reading reading;
    bool seen = false;

    void scale_counts(double scale);
  };

  void observe(const Observation& observation, std::vector<AlertEvent>& events);
  void drop_unseen(const Reason& why, std::vector<AlertEvent>& events);
  void fire(const Observation& observation, State& state, std::vector<AlertEvent>& events);
  void resolve(const Observation& observation, State& state, std::vector<AlertEvent>& events);

  std::vector<AlertRule> rules_;
  std::map<std::pair<size_t, std::string>, State> states_;
};

}  // namespace epulse::alerts
