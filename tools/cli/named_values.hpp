#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace epulse::cli {

// A row for programs: nothing rounded, units in the names.
using PlainValue = std::variant<std::monostate, uint64_t, double, std::string>;  // none: not known
struct NamedValue {
  std::string name;
  PlainValue value;
};
using NamedValues = std::vector<NamedValue>;

// `-x SEPARATOR`: a line of names, lines of values; what is not known is empty, texts that could be
// mistaken are quoted (RFC 4180).
std::string names_line(const NamedValues& values, std::string_view separator);
std::string values_line(const NamedValues& values, std::string_view separator);

}  // namespace epulse::cli
