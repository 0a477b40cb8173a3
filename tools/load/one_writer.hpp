#pragma once

#include <atomic>
#include <cstdint>

namespace epulse::load {

// Adds to what only this thread writes, and others read: no locked instruction.
inline void add_to(std::atomic<std::uint64_t>& counter, std::uint64_t count = 1) {
  counter.store(counter.load(std::memory_order_relaxed) + count, std::memory_order_relaxed);
}

}  // namespace epulse::load
