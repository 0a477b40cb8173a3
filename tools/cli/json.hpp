#pragma once

#include <concepts>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "tools/cli/named_values.hpp"

namespace epulse::cli {

// Builds one line of JSON; commas and quotes are its business, that calls match is the caller's.
class JsonLine {
 public:
  // Every line of epulse is an object that begins so. 2 would say that a reader of 1 goes wrong:
  // new members alone do not change it.
  static constexpr int kSchemaVersion = 1;
  JsonLine() { begin_object().member("schema_version", kSchemaVersion); }

  JsonLine& begin_object();
  JsonLine& end_object();
  JsonLine& begin_array();
  JsonLine& end_array();
  JsonLine& key(std::string_view name);

  JsonLine& value(std::string_view text);
  JsonLine& value(const char* text) { return value(std::string_view(text)); }
  JsonLine& value(const std::string& text) { return value(std::string_view(text)); }
  JsonLine& value(bool yes);
  JsonLine& value(double number);  // null when it is none
  template <std::integral Integer>
  JsonLine& value(Integer number) {
    return raw(std::to_string(number));
  }
  JsonLine& value(std::monostate unknown);  // null
  JsonLine& value(const PlainValue& of);
  template <typename Value>
  JsonLine& value(const std::optional<Value>& known) {
    return known ? value(*known) : value(std::monostate());
  }
  template <typename Value>
  JsonLine& member(std::string_view name, const Value& of) {
    return key(name).value(of);
  }

  // Closes the line's own object; with the line's end.
  std::string finish();

 private:
  JsonLine& raw(std::string_view text);

  std::string text_;
  bool comma_ = false;  // one is due before the next value or key
};

}  // namespace epulse::cli
