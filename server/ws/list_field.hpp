#pragma once

#include <array>
#include <cstddef>
#include <span>
#include <string_view>

#include "server/ws/http.hpp"

namespace epulse::ws {

// A header field whose value is a list: its lines count as one list (RFC 9110, 5.3). Views into the
// head, no copies.
class ListField {
 public:
  static constexpr std::size_t kMaxLines = 8;

  // False when there are more lines than that.
  bool add(std::string_view line) {
    if (count_ == kMaxLines) return false;
    lines_[count_++] = line;
    return true;
  }
  bool absent() const { return count_ == 0; }
  std::span<const std::string_view> lines() const { return {lines_.data(), count_}; }

 private:
  std::array<std::string_view, kMaxLines> lines_{};
  std::size_t count_ = 0;
};

// Whether it holds `token`, in any case.
bool list_has(const ListField& list, std::string_view token);

// Walks a list of names with parameters: Sec-WebSocket-Extensions (RFC 6455, 9.1) and, without the
// parameters, Sec-WebSocket-Protocol. Empty elements count for nothing and blanks may stand between
// any two words, as the list rule of RFC 2616, 2.1, has it, which RFC 6455 refers to.
class ListReader {
 public:
  enum class Item {
    kElement,    // name()
    kParameter,  // of the last element: name(), and value() when has_value()
    kEnd,
    kMalformed,  // then nothing more is read; also when there is no element at all
  };

  // The field has to outlive the reader.
  explicit ListReader(const ListField& field) : lines_(field.lines()) {}

  Item next();

  std::string_view name() const { return name_; }
  bool has_value() const { return has_value_; }
  // Of a quoted value what stands between the quotes. It was checked to be a token but for the
  // backslashes that quote a character, so the token is what is left without them.
  std::string_view value() const { return value_; }

 private:
  bool take(char c);
  bool take_token(std::string_view& token);
  bool take_quoted(std::string_view& token);
  bool take_parameter();

  std::span<const std::string_view> lines_;  // still to come
  std::string_view rest_;                    // of the current line
  std::string_view name_;
  std::string_view value_;
  bool has_value_ = false;
  bool in_element_ = false;
  bool any_ = false;
};

// Whether an extension field keeps to its grammar; one that is absent does.
bool is_extension_list(const ListField& field);

}  // namespace epulse::ws
