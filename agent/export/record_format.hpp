#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "agent/model/epoll_stats.hpp"

// A record file: the 8 bytes kMagic, then blocks. All integers little-endian.
//
//   block:  u32 type, u32 payload bytes, u32 CRC-32 of (type, payload bytes, payload), payload
//
// A reader skips blocks of unknown type, so new types do not break old readers. A file without an
// end block was cut short; every whole block before the cut is good. Payloads: LEB128 integers,
// texts as length and bytes.
namespace epulse::record {

inline constexpr std::string_view kMagic{"EPULSE\x01\n", 8};
inline constexpr size_t kBlockHeaderBytes = 12;
inline constexpr uint32_t kPayloadBytesMax = 64U << 20;

enum class BlockType : uint32_t {
  kMeta = 1,      // pairs of texts
  kInterval = 2,  // time, duration, losses, workers with what they counted, processes
  kWaits = 3,     // single epoll_wait records, as in bpf/epoll.h
  kEnd = 4,       // empty
};

using Meta = std::map<std::string, std::string>;
using ThreadNames = std::map<uint32_t, std::string>;  // by tid

// What a file holds, summed over its intervals.
struct Recording {
  Meta meta;
  ThreadNames names;
  model::EpollSnapshot total;
  size_t intervals = 0;
  std::vector<epoll_wait_record> waits;
  // Empty when the file is whole; else what is wrong with it and where. All else is still valid.
  std::string damage;
};

}  // namespace epulse::record
