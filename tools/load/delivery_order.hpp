#pragma once

#include <cstdint>
#include <vector>

namespace epulse::load {

// In which order one subscriber gets the messages of one publisher.
class DeliveryOrder {
 public:
  enum class Turn : std::uint8_t { kNew, kLate, kRepeated };
  struct Arrival {
    Turn turn = Turn::kNew;
    std::uint64_t skipped = 0;  // kNew: messages before it that have not come
  };

  // So many skipped ones, the last, are known again when they come late: one that was forgotten
  // counts as repeated. The sender decides what it skips, and not how much memory that takes.
  static constexpr std::uint64_t kRemembered = 65'536;

  Arrival take(std::uint64_t sequence);

  // Above all that have come.
  std::uint64_t next() const { return next_; }

 private:
  std::uint64_t next_ = 0;
  std::vector<std::uint64_t> skipped_;  // ascending; those that come late are taken out
};

}  // namespace epulse::load
