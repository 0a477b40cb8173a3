#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace epulse::load {

// One message as docs/load-record.md defines it. Times by CLOCK_MONOTONIC.
struct RecordedMessage {
  std::uint64_t due_ns = 0;
  std::uint64_t sent_ns = 0;
  std::uint64_t received_ns = 0;  // 0: not answered
  std::uint32_t connection = 0;
  std::uint32_t sequence = 0;
};

// Messages, every so many of those that were given, so that they fit.
class MessageSample {
 public:
  // `every`: at least 1. `capacity`: at least 2; that much memory is taken as it fills.
  MessageSample(std::uint64_t every, std::size_t capacity) : every_(every), capacity_(capacity) {}

  void add(const RecordedMessage& message);
  // Keeps fewer: `every` is a multiple of what it was by a power of two.
  void thin_to(std::uint64_t every);

  std::uint64_t every() const { return every_; }
  const std::vector<RecordedMessage>& messages() const { return messages_; }

 private:
  std::uint64_t every_;
  std::size_t capacity_;
  std::uint64_t given_ = 0;
  std::vector<RecordedMessage> messages_;
};

struct RecordedConnection {
  std::uint32_t connection = 0;
  std::string local;  // address and port
  std::string peer;
};

// What one thread records.
struct Recording {
  MessageSample sample;
  std::vector<RecordedConnection> connections;
};

}  // namespace epulse::load
