#pragma once

#include <cstddef>
#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "agent/actuate/actuator.hpp"
#include "agent/alerts/alarm.hpp"
#include "agent/tuners/proposal.hpp"

// The protocol of epulsed's socket, an object of JSON a line. Pure.
//   {"version":1,"request":"status"}          or "advise", "diff", "history", "undo"
//   {"version":1,"request":"undo","dry_run":true}
// Each answer has "version", and either what was asked for or "error": what is wrong, and what
// would be right.
namespace epulse::control {

inline constexpr int kVersion = 1;
inline constexpr size_t kRequestBytesMax = 4096;

struct Request {
  std::string name;
  bool dry_run = false;

  std::string to_line() const;
};

struct Refusal {
  std::string why;
};

std::variant<Request, Refusal> parse_request(std::string_view line);

// As one line, without its end. Bytes that are no UTF-8 become U+FFFD.
std::string to_line(nlohmann::json answer);
std::string error_line(std::string_view why);

// Changes in force, the latest first: what `epulse diff` shows.
nlohmann::json changes_json(const std::vector<actuate::IntentRecord>& pending);
// What `epulse undo --dry-run` shows: "changes" that it would undo, and "left_alone", which have
// ended or are somebody else's now.
nlohmann::json preview_json(const std::vector<actuate::IntentRecord>& pending);
nlohmann::json outcomes_json(const std::vector<actuate::Outcome>& outcomes);
// Each has a label "severity".
nlohmann::json alarms_json(const std::vector<alerts::Alarm>& alarms);

struct Advice {
  int64_t unix_ms = 0;  // when it was last given
  tuners::Proposal proposal;
  uint64_t held_ns = 0;  // when it was last borne out, monotonic
};
nlohmann::json advice_json(const std::vector<Advice>& advice);

// DIR/epulsed-PID.sock, where DIR is the state directory and PID the daemon's.
std::string socket_path(const std::string& state_dir, pid_t pid);
// Those that are there, whether somebody listens or not, by name; also of the directories in it, as
// the units of packaging/ have one each. Throws Error when one may not be read.
std::vector<std::string> socket_paths(const std::string& state_dir);

}  // namespace epulse::control
