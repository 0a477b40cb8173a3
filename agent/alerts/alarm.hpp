#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>

namespace epulse::alerts {

using Texts = std::map<std::string, std::string>;

// What was measured of it: figures of its rule's statistic.
struct Reading {
  double value = 0;  // the latest
  double worst = 0;  // since it was first beyond the threshold
  bool operator==(const Reading&) const = default;
};

// One time that an alert fired, as receivers are told of it. Times are of the wall clock.
struct Alarm {
  uint64_t id = 0;         // of this time; never 0
  Texts labels = {};       // the alert's identity: alertname, severity, pid, thread, ...
  Texts annotations = {};  // for the reader: summary, recording
  Reading reading = {};    // among the annotations that receivers are told
  int64_t starts_unix_ms = 0;
  std::optional<int64_t> ends_unix_ms = {};  // absent while it fires

  bool fires() const { return !ends_unix_ms; }
  bool operator==(const Alarm&) const = default;
};

}  // namespace epulse::alerts
