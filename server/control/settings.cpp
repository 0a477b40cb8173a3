#include "server/control/settings.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

namespace epulse::server {
namespace {

struct Setting {
  std::string_view name;
  std::atomic<std::uint64_t> Tunables::*field;
  double unit;  // what one of the command line's is in the field's
  double min;   // of the command line's unit
  double max;
};

constexpr std::array<Setting, 4> kSettings = {{
    {"backlog-cap", &Tunables::backlog_cap_bytes, 1, 4096, 1e12},
    {"max-connections", &Tunables::max_connections, 1, 1, 1e9},
    {"idle-timeout", &Tunables::idle_timeout_ns, 1e9, 0.1, 1e9},
    {"epoll-batch", &Tunables::epoll_batch, 1, 1, 65536},
}};

double value_of(const Setting& setting, const Tunables& tunables) {
  return static_cast<double>((tunables.*setting.field).load()) / setting.unit;
}

// Not what others wrote: that would have to be escaped.
std::string refusal(std::string_view why) {
  return fmt::format(R"({{"version":1,"error":"{}"}})", why);
}

std::string names() {
  std::string text;
  for (const Setting& setting : kSettings) {
    text.append(text.empty() ? "" : ", ").append(setting.name);
  }
  return text;
}

std::string_view take_word(std::string_view& line) {
  line.remove_prefix(std::min(line.find_first_not_of(' '), line.size()));
  const std::string_view word = line.substr(0, line.find(' '));
  line.remove_prefix(word.size());
  return word;
}

std::string get(const Tunables& tunables) {
  std::string text = R"({"version":1)";
  for (const Setting& setting : kSettings) {
    text += fmt::format(R"(,"{}":{})", setting.name, value_of(setting, tunables));
  }
  return text + '}';
}

// `expected`, where given, is what the setting must still be: else it stays as it is, so that of
// two who change it at once neither undoes the other's unseen.
std::string set(std::string_view name, std::string_view text, std::string_view expected,
                Tunables& tunables) {
  const auto* setting = std::find_if(kSettings.begin(), kSettings.end(),
                                     [name](const Setting& one) { return one.name == name; });
  if (setting == kSettings.end()) {
    return refusal(fmt::format("no such setting; there are {}", names()));
  }
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  const bool is_within = value >= setting->min && value <= setting->max;
  if (error != std::errc{} || end != text.data() + text.size() || !is_within) {
    return refusal(
        fmt::format("{} takes a number from {} to {}", setting->name, setting->min, setting->max));
  }
  const auto raw = static_cast<std::uint64_t>(std::llround(value * setting->unit));
  std::uint64_t before = 0;
  if (expected.empty()) {
    before = (tunables.*setting->field).exchange(raw);
  } else {
    double was = 0;
    const char* const last = expected.data() + expected.size();
    const auto [at, wrong] = std::from_chars(expected.data(), last, was);
    if (wrong != std::errc{} || at != last) return refusal("\"if\" takes the number that it is");
    before = static_cast<std::uint64_t>(std::llround(was * setting->unit));
    if (!(tunables.*setting->field).compare_exchange_strong(before, raw)) {
      return refusal(fmt::format("{} is {}, not {}", setting->name,
                                 static_cast<double>(before) / setting->unit, expected));
    }
  }
  return fmt::format(R"({{"version":1,"name":"{}","before":{},"now":{}}})", setting->name,
                     static_cast<double>(before) / setting->unit,
                     static_cast<double>(raw) / setting->unit);
}

}  // namespace

std::string answer_control(std::string_view line, Tunables& tunables) {
  const std::string_view command = take_word(line);
  const std::string_view name = take_word(line);
  const std::string_view value = take_word(line);
  const std::string_view condition = take_word(line);
  const std::string_view expected = take_word(line);
  const bool is_whole = line.find_first_not_of(' ') == std::string_view::npos &&
                        (condition.empty() || (condition == "if" && !expected.empty()));
  if (command == "get" && name.empty()) return get(tunables);
  if (command == "set" && !value.empty() && is_whole) return set(name, value, expected, tunables);
  return refusal(fmt::format(
      "unknown request; there are: get, and set NAME VALUE [if OLD] with NAME one of {}", names()));
}

}  // namespace epulse::server
