#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

namespace epulse::load {

// What a message of a broadcast says of itself. Numbers lack their upper bits; what they are near
// to tells the whole.
struct Stamp {
  std::uint32_t publisher = 0;  // 16 bits
  std::uint32_t sequence = 0;   // of that publisher; 24 bits
  std::uint32_t sent_us = 0;    // by CLOCK_MONOTONIC

  bool operator==(const Stamp&) const = default;
};

constexpr std::uint32_t kStampSequenceBits = 24;
constexpr std::uint32_t kMaxPublishers = 1U << 16U;
Stamp make_stamp(std::uint32_t publisher, std::uint64_t sequence, std::uint64_t sent_ns);
// The sequence number within 2^23 of `near`.
std::uint64_t whole_sequence(const Stamp& stamp, std::uint64_t near);
// Up to 71 minutes, to the microsecond.
std::uint64_t age_ns(const Stamp& stamp, std::uint64_t now_ns);

// In hexadecimal digits: 4 publisher, 6 sequence, 8 time, 2 to check the others by.
constexpr std::size_t kStampBytes = 20;

// The stamp as text, then the pattern of payload.hpp. `payload` has kStampBytes at least.
void fill_stamped(std::span<std::uint8_t> payload, const Stamp& stamp, bool compressible);

// Nothing when a byte of the message is not as it was filled.
std::optional<Stamp> read_stamped(std::span<const std::uint8_t> payload, bool compressible);

}  // namespace epulse::load
