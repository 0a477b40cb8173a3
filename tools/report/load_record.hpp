#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace epulse::report {

// A message as its client experienced it; times are CLOCK_MONOTONIC.
struct LoadMessage {
  uint64_t due_ns = 0;
  uint64_t sent_ns = 0;
  uint64_t received_ns = 0;  // 0: not answered
  uint32_t connection = 0;
  uint64_t latency_ns() const { return received_ns - due_ns; }
};

struct LoadConnection {
  std::string local;  // the client's end
  std::string peer;
};

// What `epulse-load --record` wrote (docs/load-record.md).
struct LoadRecord {
  std::string path;
  std::string url;
  std::string mode;
  std::string boot_id;
  uint64_t start_ns = 0;
  uint64_t end_ns = 0;
  uint64_t sample_every = 1;
  std::map<uint32_t, LoadConnection> connections;
  std::vector<LoadMessage> messages;
  bool ended = false;  // else it was cut short
};

// Throws Error when the file cannot be read, or a line is not as documented: with its number.
LoadRecord read_load_record(const std::string& path);

}  // namespace epulse::report
