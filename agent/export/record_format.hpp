#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "agent/model/epoll_stats.hpp"

// A record file: the 8 bytes kMagic, then blocks. All integers little-endian; docs/record-format.md
// has every field.
//
//   block:  u32 kBlockMarker, u32 type, u32 payload bytes,
//           u32 CRC-32 of (type, payload bytes, payload), payload
//
// Each block is decoded by itself. A reader skips blocks of unknown type, so new types do not break
// old readers; and where a block is damaged it looks for the next marker whose checksum is right.
// Files may be joined by `cat`: kMagic stands for nothing where a block may begin. A file whose
// last block is no end block was cut short.
namespace epulse::record {

inline constexpr std::string_view kMagic{"EPULSE\x02\n", 8};
inline constexpr std::string_view kBlockMarker{
    "\xe9"
    "BLK",
    4};
inline constexpr size_t kBlockHeaderBytes = 16;
inline constexpr uint32_t kPayloadBytesMax = 64U << 20;
// So many single waits to a block: some 90 KB, which is what damage to one byte may cost.
inline constexpr size_t kWaitsInBlockMax = 4096;
// More is malformed, so that a small file does not become much memory.
inline constexpr uint64_t kWorkersInBlockMax = 4096;  // as the probe's table
inline constexpr uint64_t kCpusMax = 65536;
inline constexpr uint64_t kHistogramsMax = 64;  // of one kind, of a worker
inline constexpr size_t kConnectionsInBlockMax = 4096;
inline constexpr size_t kAddressBytesMax = 64;  // "[2001:db8::1]:9001" has at most 47

enum class BlockType : uint32_t {
  kMeta = 1,         // pairs of texts
  kInterval = 2,     // time, duration, losses, workers with what they counted, processes
  kWaits = 3,        // single epoll_wait records
  kEnd = 4,          // empty
  kConnections = 5,  // time, the connections that instances watch
};

// A TCP connection that an epoll instance watches: the server's end and the client's, as programs
// print them ("127.0.0.1:9001", "[::1]:9001").
struct WatchedConnection {
  uint64_t epoll_id = 0;
  std::string local;
  std::string peer;
  bool operator==(const WatchedConnection&) const = default;
};

using Meta = std::map<std::string, std::string>;
using ThreadNames = std::map<uint32_t, std::string>;  // by tid

}  // namespace epulse::record
