#include "tools/cli/json.hpp"

#include <fmt/format.h>

#include <cmath>

#include "agent/model/text.hpp"

namespace epulse::cli {

JsonLine& JsonLine::raw(std::string_view text) {
  if (comma_) text_ += ',';
  text_ += text;
  comma_ = true;
  return *this;
}

JsonLine& JsonLine::begin_object() {
  raw("{");
  comma_ = false;
  return *this;
}

JsonLine& JsonLine::end_object() {
  text_ += '}';
  comma_ = true;
  return *this;
}

JsonLine& JsonLine::begin_array() {
  raw("[");
  comma_ = false;
  return *this;
}

JsonLine& JsonLine::end_array() {
  text_ += ']';
  comma_ = true;
  return *this;
}

JsonLine& JsonLine::key(std::string_view name) {
  raw(model::json_text(name));
  text_ += ':';
  comma_ = false;
  return *this;
}

JsonLine& JsonLine::value(std::string_view text) {
  return raw(model::json_text(text));
}

JsonLine& JsonLine::value(bool yes) {
  return raw(yes ? "true" : "false");
}

JsonLine& JsonLine::value(double number) {
  return raw(std::isfinite(number) ? fmt::format("{}", number) : "null");
}

JsonLine& JsonLine::value(std::monostate /*unknown*/) {
  return raw("null");
}

JsonLine& JsonLine::value(const PlainValue& of) {
  return std::visit([this](const auto& known) -> JsonLine& { return value(known); }, of);
}

std::string JsonLine::finish() {
  end_object();
  return text_ + '\n';
}

}  // namespace epulse::cli
