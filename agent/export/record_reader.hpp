#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "agent/export/record_format.hpp"
#include "agent/export/record_source.hpp"

namespace epulse::record {

// Is told what a record file holds, in the file's order. References are valid during the call.
class RecordVisitor {
 public:
  virtual ~RecordVisitor() = default;
  virtual void on_meta(const Meta&) {}
  // `names`: of the interval's workers and processes, where known.
  virtual void on_interval(const model::EpollSnapshot&, const ThreadNames& /*names*/) {}
  virtual void on_waits(std::span<const epoll_wait_record>) {}
  // Seen at `time_ns` for the first time; those that are there once more where a ring began a file.
  virtual void on_connections(uint64_t /*time_ns*/, std::span<const WatchedConnection>) {}
};

// A part of the file that nothing was taken from.
struct Damage {
  uint64_t at = 0;  // byte of the file
  uint64_t bytes = 0;
  bool operator==(const Damage&) const = default;
};

// What is wrong with a file. All else of it was given to the visitor.
struct RecordCondition {
  uint64_t file_bytes = 0;
  uint64_t damaged_bytes = 0;
  uint64_t damaged_places = 0;
  std::vector<Damage> damages;  // the first kDamagesKept
  bool ended = false;           // the last block is an end block
  bool whole() const { return damaged_places == 0 && ended; }
};
inline constexpr size_t kDamagesKept = 1000;

// "2 damaged places, 5,210 of 81,000 bytes: at byte 4,096 (210 bytes), ..."; empty when it is
// whole.
std::string text_of(const RecordCondition& condition);

// Reads it through in one pass; memory does not grow with the file. `progress`, if any, is called
// now and then with the share read so far. Throws Error when this is no record file; `name` is for
// the message.
RecordCondition scan_recording(RecordSource& source, const std::string& name,
                               RecordVisitor& visitor,
                               const std::function<void(double)>& progress = {});

// The share of `scan_recording` on an intact block's payload. Tells the visitor nothing when it is
// malformed: false.
bool decode_block(BlockType type, std::string_view payload, RecordVisitor& visitor);

}  // namespace epulse::record
