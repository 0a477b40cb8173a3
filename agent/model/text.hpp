#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

// Numbers as people read them, three significant digits, and text of others.
namespace epulse::model {

std::string duration_text(uint64_t ns);  // "640ns" "1.37us" "672us" "4.46ms" "12.0s"
std::string count_text(double value);    // "0" "7" "4.18" "12.3k" "2.50M"
// What comes from others (process names, files) as it may reach a terminal: control characters and
// bytes that are no UTF-8 are shown as "\x1b".
std::string printable(std::string_view text);
// The columns that `text` takes, of one to a code point; what is no UTF-8 counts by byte.
size_t text_width(std::string_view text);
// The start of `text` that fits in so many columns.
std::string_view text_start(std::string_view text, size_t columns);

}  // namespace epulse::model
