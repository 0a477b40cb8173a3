#pragma once

#include <sys/random.h>

#include <array>
#include <cerrno>
#include <cstdint>
#include <span>

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
    const auto words = std::as_writable_bytes(std::span(words_));
    // Above 256 bytes a signal may cut it short.
    for (std::size_t got = 0; got < words.size();) {
      const ssize_t n = getrandom(words.data() + got, words.size() - got, 0);
      if (n < 0 && errno != EINTR) {
        fail("cannot get random bits of the kernel: {}", errno_text(errno));
      }
      if (n > 0) got += static_cast<std::size_t>(n);
    }
    next_ = 0;
  }

  std::array<std::uint32_t, 1024> words_{};
  std::size_t next_ = words_.size();
};

}  // namespace epulse::load
