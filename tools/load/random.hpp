#pragma once

#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdint>

#include "tools/load/error.hpp"

namespace epulse::load {

// Bits of the kernel, fetched many at a time: RFC 6455, 5.3, wants masks that nobody can predict
// from earlier ones.
class RandomBits {
 public:
  std::uint32_t next() {
    if (next_ == words_.size()) refill();
    return words_[next_++];
  }

 private:
  void refill() {
    if (getentropy(words_.data(), sizeof words_) != 0) {
      fail("cannot get random bits of the kernel: {}", errno_text(errno));
    }
    next_ = 0;
  }

  std::array<std::uint32_t, 64> words_{};
  std::size_t next_ = words_.size();
};

}  // namespace epulse::load
