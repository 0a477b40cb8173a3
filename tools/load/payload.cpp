#include "tools/load/payload.hpp"

#include <cstring>

namespace epulse::load {
namespace {

constexpr std::size_t kWordBytes = sizeof(std::uint64_t);
constexpr std::uint64_t kOdd = 0x9E3779B97F4A7C15ULL;  // 2^64 / golden ratio: spreads small numbers

// Eight letters out of sixteen; which ones depends on every bit.
std::uint64_t letters(std::uint64_t bits) {
  constexpr std::uint64_t kNibbles = 0x0F0F0F0F0F0F0F0FULL;
  constexpr std::uint64_t kFirstLetters = 0x6161616161616161ULL;
  return (bits * kOdd >> 4U & kNibbles) + kFirstLetters;
}

class Words {
 public:
  Words(std::uint32_t connection, std::uint64_t sequence, bool compressible)
      : next_(sequence), seed_((sequence + 1) * kOdd ^ connection), compressible_(compressible) {}

  std::uint64_t next() {
    const std::uint64_t word = next_;
    seed_ += kOdd;
    next_ = compressible_ ? letters(seed_) : seed_;
    return word;
  }

 private:
  std::uint64_t next_;
  std::uint64_t seed_;
  bool compressible_;
};

}  // namespace

void fill_payload(std::span<std::uint8_t> payload, std::uint32_t connection, std::uint64_t sequence,
                  bool compressible) {
  Words words(connection, sequence, compressible);
  while (payload.size() >= kWordBytes) {
    const std::uint64_t word = words.next();
    std::memcpy(payload.data(), &word, kWordBytes);
    payload = payload.subspan(kWordBytes);
  }
  if (payload.empty()) return;
  const std::uint64_t word = words.next();
  std::memcpy(payload.data(), &word, payload.size());
}

bool is_payload(std::span<const std::uint8_t> payload, std::uint32_t connection,
                std::uint64_t sequence, bool compressible) {
  Words words(connection, sequence, compressible);
  while (payload.size() >= kWordBytes) {
    const std::uint64_t word = words.next();
    if (std::memcmp(payload.data(), &word, kWordBytes) != 0) return false;
    payload = payload.subspan(kWordBytes);
  }
  if (payload.empty()) return true;
  const std::uint64_t word = words.next();
  return std::memcmp(payload.data(), &word, payload.size()) == 0;
}

}  // namespace epulse::load
