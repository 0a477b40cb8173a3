#include "common/json_line.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "common/utf8.hpp"

namespace epulse {
namespace {

// Stands for itself in a JSON string, and is a character by itself.
bool is_plain(char c) {
  return c >= ' ' && c < '\177' && c != '"' && c != '\\';
}

void append_quoted(std::string& to, std::string_view text) {
  to += '"';
  // All of most texts.
  const auto plain = std::find_if_not(text.begin(), text.end(), is_plain) - text.begin();
  to += text.substr(0, static_cast<size_t>(plain));
  text.remove_prefix(static_cast<size_t>(plain));
  for_each_character(text, [&](std::string_view character, bool valid) {
    const char c = character[0];
    if (!valid) {
      to += "\\ufffd";
    } else if (c == '"' || c == '\\') {
      to += '\\';
      to += c;
    } else if (is_control(character)) {  // of U+0080 to U+009F the last byte is the number
      to += fmt::format("\\u{:04x}", static_cast<unsigned char>(character.back()));
    } else {
      to += character;
    }
  });
  to += '"';
}

}  // namespace

std::string json_text(std::string_view text) {
  std::string quoted;
  append_quoted(quoted, text);
  return quoted;
}

JsonLine& JsonLine::raw(std::string_view text) {
  if (comma_) text_ += ',';
  text_ += text;
  comma_ = true;
  return *this;
}

JsonLine& JsonLine::quoted(std::string_view text) {
  if (comma_) text_ += ',';
  append_quoted(text_, text);
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
  quoted(name);
  text_ += ':';
  comma_ = false;
  return *this;
}

JsonLine& JsonLine::value(std::string_view text) {
  return quoted(text);
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

std::string JsonLine::finish() {
  end_object();
  return text_ + '\n';
}

}  // namespace epulse
