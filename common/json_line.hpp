#pragma once

#include <concepts>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

namespace epulse {

// Quoted and escaped (RFC 8259 section 7); bytes that are no UTF-8 become U+FFFD.
std::string json_text(std::string_view text);

// Builds one line of JSON, as all programs print them (docs/schemas); commas and quotes are its
// business, that calls match is the caller's.
class JsonLine {
 public:
  // Every line is an object that begins so. 2 would say that a reader of 1 goes wrong: new members
  // alone do not change it.
  static constexpr int kSchemaVersion = 1;
  JsonLine() { begin_object().member("schema_version", kSchemaVersion); }
  explicit JsonLine(std::string_view type) : JsonLine() { member("type", type); }

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
  template <typename... Known>
  JsonLine& value(const std::variant<Known...>& of) {
    return std::visit([this](const auto& known) -> JsonLine& { return this->value(known); }, of);
  }
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
  JsonLine& quoted(std::string_view text);

  std::string text_;
  bool comma_ = false;  // one is due before the next value or key
};

}  // namespace epulse
