#pragma once

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdlib>
#include <limits>
#include <string>

// Checks of option values, whose messages a person can read.
namespace epulse::cli {

// CLI11's own Range lets NaN through, which compares with nothing. `what`: "number of seconds".
inline CLI::Validator number(const char* what, const char* unit, double low, double high) {
  return {[=](const std::string& text) -> std::string {
            char* end = nullptr;
            const double value = strtod(text.c_str(), &end);
            if (end != text.c_str() && *end == '\0' && value >= low && value <= high) return {};
            return fmt::format("{} is not a {} from {:g} to {:g}", text, what, low, high);
          },
          unit};
}

inline CLI::Validator seconds(double low, double high) {
  return number("number of seconds", "SECONDS", low, high);
}

// CLI11 takes "-3" for a large unsigned number.
inline CLI::Validator whole_number() {
  return {[](const std::string& text) -> std::string {
            const bool digits =
                !text.empty() && text.find_first_not_of("0123456789") == std::string::npos;
            if (digits && text.size() < 19) return {};
            return text + " is not a whole number from 0 on";
          },
          "N"};
}

inline CLI::Validator separator_text() {
  return {[](const std::string& text) -> std::string {
            if (!text.empty() && text.find_first_of("\"\n") == std::string::npos) return {};
            return "a separator has at least one character, and no quotes or line ends";
          },
          "SEP"};
}

inline CLI::Validator percent() {
  return number("percentage", "PERCENT", 0, 100);
}

inline CLI::Validator hertz(double low, double high) {
  return number("number of times a second", "HZ", low, high);
}

// A number that pid_t holds; whether there is such a process is asked later.
inline CLI::Validator process_id() {
  return {[](const std::string& text) -> std::string {
            char* end = nullptr;
            const long long value = strtoll(text.c_str(), &end, 10);
            if (end != text.c_str() && *end == '\0' && value > 0 &&
                value <= std::numeric_limits<pid_t>::max())
              return {};
            return text + " is not a process id";
          },
          "PID"};
}

// One, or several with commas between them.
inline CLI::Validator process_ids() {
  return {[](const std::string& text) -> std::string {
            const CLI::Validator one = process_id();
            for (const std::string& pid : CLI::detail::split(text, ',')) {
              std::string copy = pid;
              const std::string error = one(copy);
              if (!error.empty())
                return pid == text ? error : fmt::format("{} (in {})", error, text);
            }
            return {};
          },
          "PID[,PID...]"};
}

}  // namespace epulse::cli
