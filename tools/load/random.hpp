#pragma once

#include <openssl/rand.h>

#include <array>
#include <cstddef>
#include <cstdint>

#include "server/tls/openssl.hpp"
#include "tools/load/error.hpp"

namespace epulse::load {

// Bits that nobody can predict from earlier ones, as RFC 6455, 5.3, wants masks to be: from
// OpenSSL's generator (AES in counter mode, NIST SP 800-90A), which the kernel seeds. Fetched many
// at a time: then a mask costs 2 ns; from getrandom() it was 20.
class RandomBits {
 public:
  std::uint32_t next() {
    if (next_ == words_.size()) refill();
    return words_[next_++];
  }

 private:
  void refill() {
    if (RAND_bytes(reinterpret_cast<unsigned char*>(words_.data()), sizeof words_) != 1) {
      fail("cannot get random bits: {}; is OpenSSL 3.0 installed whole?", tls::take_error());
    }
    next_ = 0;
  }

  std::array<std::uint32_t, 2048> words_{};
  std::size_t next_ = words_.size();
};

}  // namespace epulse::load
