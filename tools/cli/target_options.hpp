#pragma once

#include <optional>
#include <string>

#include "agent/targets/selector.hpp"

namespace CLI {
class App;
}

namespace epulse::cli {

// What the user gave to say whom to watch; empty where not.
struct TargetOptions {
  std::string pids;  // "4711" or "4711,4712"
  pid_t tid = 0;
  std::string name;
  std::string cgroup;
  std::string unit;
  bool children = false;
  bool all = false;
};

void add_target_options(CLI::App& command, TargetOptions& options);

// Nullopt when none was given. Throws Error for more than one kind.
std::optional<targets::Selector> selector_of(const TargetOptions& options);

}  // namespace epulse::cli
