#pragma once

#include <sys/mman.h>

#include <cerrno>
#include <cstddef>
#include <new>
#include <type_traits>

#include "tools/load/error.hpp"

namespace epulse::load {

// Objects in memory that processes forked later see, too. They hold no pointers of their own.
template <typename T>
class SharedArray {
 public:
  // Throws Error when there is no memory.
  explicit SharedArray(std::size_t count) : count_(count) {
    static_assert(std::is_trivially_destructible_v<T>);
    void* memory =
        mmap(nullptr, bytes(), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) {
      fail("cannot get {} bytes of memory to share: {}; use fewer threads or connections", bytes(),
           errno_text(errno));
    }
    items_ = static_cast<T*>(memory);
    for (std::size_t k = 0; k < count; ++k) new (items_ + k) T();
  }
  SharedArray(const SharedArray&) = delete;
  SharedArray& operator=(const SharedArray&) = delete;
  ~SharedArray() { munmap(items_, bytes()); }

  T& operator[](std::size_t k) { return items_[k]; }
  const T& operator[](std::size_t k) const { return items_[k]; }
  std::size_t size() const { return count_; }
  T* begin() { return items_; }
  T* end() { return items_ + count_; }
  const T* begin() const { return items_; }
  const T* end() const { return items_ + count_; }

 private:
  std::size_t bytes() const { return (count_ == 0 ? 1 : count_) * sizeof(T); }

  T* items_ = nullptr;
  std::size_t count_;
};

}  // namespace epulse::load
