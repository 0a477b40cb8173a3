#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "agent/config/config.hpp"

// The table of configuration keys: one entry a key, from which loading, the errors and the example
// file all follow, so that they cannot drift.
namespace epulse::config {

struct IntegerKey {
  uint64_t& (*field)(Config&);
  int64_t min;
  int64_t max;
};

struct ShareKey {
  double& (*field)(Config&);
  double min;
  double max;
};

struct NumberKey {
  double& (*field)(Config&);
  double min;
  double max;
};

struct FlagKey {
  bool& (*field)(Config&);
};

struct ChoiceKey {
  std::vector<std::string_view> choices;
  size_t (*get)(const Config&);
  void (*set)(Config&, size_t choice);
};

struct PathKey {
  std::string& (*field)(Config&);
};

// One line of text.
struct TextKey {
  std::string& (*field)(Config&);
  std::string_view allowed;  // said in errors and in the example
  bool (*is_allowed)(std::string_view text);
};

// A program and its arguments: an array of strings, the first an absolute path.
struct CommandKey {
  std::vector<std::string>& (*field)(Config&);
};

// A table of strings: { team = "edge" }.
struct LabelsKey {
  std::map<std::string, std::string>& (*field)(Config&);
};

// The table that may be there any number of times, [[alerts.rule]]: its keys are of the last of
// Config::alerts.rules.
inline constexpr std::string_view kRuleTable = "alerts.rule";

struct Key {
  std::string_view table;  // dotted, as in the file: "tuner.affinity"
  std::string_view name;
  std::string_view help;
  std::variant<IntegerKey, ShareKey, NumberKey, FlagKey, ChoiceKey, PathKey, TextKey, CommandKey,
               LabelsKey>
      type;
};

// In the order of the example file; the keys of a table are together.
std::span<const Key> keys();

// "100 to 60000", "true or false".
std::string allowed(const Key& key);

// The default of `key` as TOML writes it.
std::string default_text(const Key& key);

}  // namespace epulse::config
