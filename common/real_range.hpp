#pragma once

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <string>

namespace epulse {

// An option that takes a number from `least` to `most`. CLI::Range lets "nan" pass, which is
// neither less nor more.
inline CLI::Validator real_range(double least, double most) {
  const std::string what = fmt::format("FLOAT in [{:g} - {:g}]", least, most);
  return CLI::Validator(
      [least, most](std::string& text) -> std::string {
        double value = 0;
        if (CLI::detail::lexical_cast(text, value) && value >= least && value <= most) return "";
        return fmt::format("{} is not a number from {:g} to {:g}", text, least, most);
      },
      what);
}

}  // namespace epulse
