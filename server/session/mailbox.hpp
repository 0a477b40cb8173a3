#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "common/unique_fd.hpp"

namespace epulse::server {

// A bounded ring that any thread may write and one reads (D. Vyukov's bounded queue). What one
// thread writes comes out in the order it was written.
template <typename T>
class BoundedRing {
 public:
  // `capacity`: a power of two.
  explicit BoundedRing(std::size_t capacity) : slots_(capacity), mask_(capacity - 1) {
    for (std::size_t i = 0; i < capacity; ++i) slots_[i].turn.store(i, std::memory_order_relaxed);
  }

  // False when full; `value` is then untouched.
  bool push(T& value) {
    std::size_t place = tail_.load(std::memory_order_relaxed);
    while (true) {
      Slot& slot = slots_[place & mask_];
      // Sequentially consistent, here and in pop(): see Hub::announce_stall().
      const std::size_t turn = slot.turn.load();
      if (turn == place) {
        if (tail_.compare_exchange_weak(place, place + 1, std::memory_order_relaxed)) {
          slot.value = std::move(value);
          slot.turn.store(place + 1, std::memory_order_release);
          return true;
        }
      } else if (turn < place) {
        return false;
      } else {
        place = tail_.load(std::memory_order_relaxed);
      }
    }
  }

  // False when empty. For the one reader only.
  bool pop(T& value) {
    Slot& slot = slots_[head_ & mask_];
    if (slot.turn.load(std::memory_order_acquire) != head_ + 1) return false;
    value = std::move(slot.value);
    slot.value = T{};
    slot.turn.store(head_ + slots_.size());
    ++head_;
    return true;
  }

 private:
  struct Slot {
    std::atomic<std::size_t> turn{0};
    T value{};
  };

  // What writers use, then, in a cache line of its own, what the reader uses.
  alignas(64) std::atomic<std::size_t> tail_{0};
  std::vector<Slot> slots_;
  std::size_t mask_;
  alignas(64) std::size_t head_ = 0;
};

// Wakes the loop of a worker from another thread; many calls before it wakes cost one write.
class Waker {
 public:
  Waker();  // Throws Error.

  int fd() const { return fd_.get(); }
  void wake();
  // Before looking at what one was woken for.
  void acknowledge() { pending_.exchange(false); }

 private:
  UniqueFd fd_;
  std::atomic<bool> pending_{false};
};

}  // namespace epulse::server
