#pragma once

#include <cstddef>
#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace epulse::control {

struct Event {
  int64_t unix_ms = 0;
  std::string kind;     // "alarm", "advice", "changed", "kept", "undone", ...
  std::string text;     // one line
  std::string by_hand;  // the same as a command; empty where there is none
  std::string target;   // "nginx[4711]", the process that epulsed watched; empty where not known
};

// What happened, in DIR/history, a line of JSON each; older ones in DIR/history.1. For the reader
// alone: one that cannot be written is said once and costs nothing else.
class History {
 public:
  // `state_dir` is there, or nothing is written. `target` is that of all events.
  explicit History(const std::string& state_dir, std::string target = {})
      : path_(state_dir + "/history"), target_(std::move(target)) {}

  void add(std::string_view kind, std::string_view text, std::string_view by_hand = {});

  // Why the last add() was not written; empty when it was.
  const std::string& error() const { return error_; }

  // The last `max` of them, oldest first. Lines that do not read (cut short by a crash) are left
  // out. Throws Error when the file may not be read; one that is not there is empty.
  static std::vector<Event> read(const std::string& state_dir, size_t max);

 private:
  std::string path_;
  std::string target_;
  std::string error_;
};

int64_t unix_ms_now();

nlohmann::json history_json(const std::vector<Event>& events);

}  // namespace epulse::control
