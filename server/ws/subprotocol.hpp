#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>

#include "server/ws/list_field.hpp"

// Sub-protocols (RFC 6455, 1.9 and 4): names that both ends know, ordered by the client's
// preference. They are compared as they stand, in their case.
namespace epulse::ws {

constexpr std::size_t kMaxProtocolsOffered = 32;
constexpr std::size_t kMaxProtocolChars = 64;  // of one that a server may have

// Whether a client's field is a list of different tokens (4.1), no more than kMaxProtocolsOffered;
// one that is absent is fine.
bool is_protocol_list(const ListField& field);

// The first of the client's list that is among `ours`, empty when none is.
std::string_view choose_protocol(const ListField& offered, std::span<const std::string> ours);

}  // namespace epulse::ws
