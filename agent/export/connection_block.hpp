#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "agent/export/record_format.hpp"

// The payload of a kConnections block.
namespace epulse::record {

// At most kConnectionsInBlockMax of them.
std::string encode_connections(uint64_t time_ns, std::span<const WatchedConnection> connections);

// Replaces `connections`. False for a malformed payload.
bool decode_connections(std::string_view payload, uint64_t& time_ns,
                        std::vector<WatchedConnection>& connections);

}  // namespace epulse::record
