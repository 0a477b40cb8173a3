#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "bpf/epoll.h"

// The payload of a kWaits block: single epoll_wait records, some 20 bytes for each 88.
namespace epulse::record {

// At most kWaitsInBlockMax of them.
std::string encode_waits(std::span<const epoll_wait_record> waits);

// Replaces `waits`. False for a malformed payload.
bool decode_waits(std::string_view payload, std::vector<epoll_wait_record>& waits);

}  // namespace epulse::record
