#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include "bpf/epoll.h"

namespace epulse::model {

// Takes single epoll_wait records out of what a ring buffer hands over. Pure, the part that is
// fuzzed.
class WaitDecoder {
 public:
  // A copy, since `data` belongs to the kernel again when the handler returns; nullopt, and
  // counted, when it is too short to be a record. What a later probe appends is dropped.
  std::optional<epoll_wait_record> decode(const void* data, size_t bytes);

  uint64_t malformed() const { return malformed_; }

 private:
  uint64_t malformed_ = 0;
};

}  // namespace epulse::model
