#pragma once

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

namespace epulse {

// An option that takes one of these words for a value of an enumeration. CLI11's own transformer
// prints the values as characters when it refuses a word.
template <typename Value>
CLI::Validator choice(std::vector<std::pair<std::string, Value>> values) {
  std::string names;
  for (const auto& [name, value] : values) names += (names.empty() ? "" : ",") + name;
  const std::string all = '{' + names + '}';
  const auto read = [values = std::move(values), all](std::string& word) -> std::string {
    for (const auto& [name, value] : values) {
      if (word != name) continue;
      word = std::to_string(static_cast<std::underlying_type_t<Value>>(value));
      return "";
    }
    return fmt::format("{} not in {}", word, all);
  };
  return CLI::Validator(read, all);
}

}  // namespace epulse
