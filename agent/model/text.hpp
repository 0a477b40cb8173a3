#pragma once

#include <cstdint>
#include <string>
#include <string_view>

// Numbers as people read them, three significant digits.
namespace epulse::model {

std::string duration_text(uint64_t ns);        // "640ns" "1.37us" "672us" "4.46ms" "12.0s"
std::string count_text(double value);          // "0" "7" "4.18" "12.3k" "2.50M"
std::string json_text(std::string_view text);  // quoted and escaped (RFC 8259 section 7)
// What a stranger's text may do to a terminal, or to a reader of UTF-8, it no longer does: control
// characters and bytes that are not UTF-8 (RFC 3629) become "?".
std::string printable_text(std::string_view text);

}  // namespace epulse::model
