#pragma once

#include <cstddef>
#include <string_view>

namespace epulse {

// Bytes of the character at the start of `text`, which is not empty; 0 when it is no UTF-8 (RFC
// 3629 section 4).
size_t utf8_bytes(std::string_view text);

// Whether a character is C0, DEL or C1 (U+0080 to U+009F): what a terminal obeys.
bool is_control(std::string_view character);

// Calls `each` with every character, and with every byte that belongs to none; the second argument
// tells which.
template <typename Each>
void for_each_character(std::string_view text, Each each) {
  while (!text.empty()) {
    const size_t bytes = utf8_bytes(text);
    each(text.substr(0, bytes == 0 ? 1 : bytes), bytes != 0);
    text.remove_prefix(bytes == 0 ? 1 : bytes);
  }
}

}  // namespace epulse
