#pragma once

#include <atomic>
#include <cstdint>
#include <type_traits>

#include "server/contract/stats_page.h"

// Access to the fields of a stats page. Each has one writer, so an increment need not be atomic as
// a whole; the store must be, for readers in other processes.
namespace epulse::server {

template <typename T>
T stat_read(const T& field) {
  return std::atomic_ref<T>(const_cast<T&>(field)).load(std::memory_order_relaxed);
}

template <typename T>
void stat_set(T& field, std::type_identity_t<T> value) {
  std::atomic_ref<T>(field).store(value, std::memory_order_relaxed);
}

inline void stat_add(__u64& field, std::uint64_t value) {
  stat_set(field, field + value);
}

inline void stat_max(__u64& field, std::uint64_t value) {
  if (value > field) stat_set(field, value);
}

}  // namespace epulse::server
