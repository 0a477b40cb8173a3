#pragma once

#include <cstddef>
#include <string_view>

// The strict and bounded subset of HTTP/1.1 (RFC 9112) that an opening handshake needs.
namespace epulse::ws {

constexpr std::size_t kMaxHeadBytes = 8192;
constexpr std::size_t kMaxFields = 64;
constexpr std::string_view kBlanks = " \t";

struct Field {
  std::string_view name;
  std::string_view value;
};

// Reads "name: value CRLF" lines up to the empty one. No folding, no bare CR or LF, no space before
// the colon: what request smuggling lives on.
class FieldReader {
 public:
  enum class Result { kField, kEnd, kMalformed };

  explicit FieldReader(std::string_view lines) : rest_(lines) {}

  Result next(Field& field);

 private:
  std::string_view rest_;
};

// Bytes of the head with its empty line, 0 while that has not arrived.
std::size_t head_size(std::string_view buffer);

// Cuts "line CRLF" off the front of `text`; the line without its end.
std::string_view take_line(std::string_view& text);

bool is_token_char(char c);  // RFC 9110, 5.6.2
bool is_token(std::string_view text);
bool equal_ignoring_case(std::string_view a, std::string_view b);

// Whether a comma-separated list holds `token`, in any case.
bool list_has(std::string_view list, std::string_view token);

// The phrase of the statuses that we send.
std::string_view status_phrase(int status);

}  // namespace epulse::ws
