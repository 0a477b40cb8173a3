#pragma once

#include <atomic>
#include <cstdint>

#include "server/contract/stats_page.h"

// Access to the fields of a stats page. Each has one writer, so an increment need not be atomic as
// a whole; the store must be, for readers in other processes.
namespace epulse::server {

inline std::uint64_t stat_read(const __u64& field) {
  return std::atomic_ref<__u64>(const_cast<__u64&>(field)).load(std::memory_order_relaxed);
}

inline void stat_set(__u64& field, std::uint64_t value) {
  std::atomic_ref<__u64>(field).store(value, std::memory_order_relaxed);
}

inline void stat_add(__u64& field, std::uint64_t value) {
  stat_set(field, field + value);
}

inline void stat_max(__u64& field, std::uint64_t value) {
  if (value > field) stat_set(field, value);
}

}  // namespace epulse::server
