#include "tools/cli/named_values.hpp"

#include <fmt/format.h>

#include "agent/model/text.hpp"

namespace epulse::cli {
namespace {

std::string quoted(const std::string& text, std::string_view separator) {
  const bool safe = text.find_first_of("\"\r\n") == std::string::npos &&
                    text.find(separator) == std::string::npos;
  if (safe) return text;
  std::string result = "\"";
  for (const char c : text) {
    if (c == '"') result += '"';
    result += c;
  }
  return result + '"';
}

struct TextOf {
  std::string operator()(std::monostate /*unknown*/) const { return {}; }
  std::string operator()(uint64_t number) const { return fmt::format("{}", number); }
  std::string operator()(double number) const { return fmt::format("{}", number); }
  std::string operator()(const std::string& text) const {
    return quoted(model::printable(text), separator);
  }

  std::string_view separator;
};

template <typename FieldText>
std::string line(const NamedValues& values, std::string_view separator, FieldText text_of) {
  std::string result;
  for (const NamedValue& value : values) {
    if (&value != &values.front()) result += separator;
    result += text_of(value);
  }
  return result + '\n';
}

}  // namespace

std::string names_line(const NamedValues& values, std::string_view separator) {
  return line(values, separator, [](const NamedValue& value) { return value.name; });
}

std::string values_line(const NamedValues& values, std::string_view separator) {
  return line(values, separator,
              [&](const NamedValue& value) { return std::visit(TextOf{separator}, value.value); });
}

}  // namespace epulse::cli
