#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace epulse::ws {

// SHA-1 (RFC 3174), which the opening handshake asks for; it protects nothing here.
std::array<std::uint8_t, 20> sha1(std::string_view text);

}  // namespace epulse::ws
