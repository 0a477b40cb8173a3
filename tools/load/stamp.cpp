#include "tools/load/stamp.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <string_view>

#include "tools/load/payload.hpp"

namespace epulse::load {
namespace {

constexpr std::size_t kPublisherDigits = 4;
constexpr std::size_t kSequenceDigits = kStampSequenceBits / 4;
constexpr std::size_t kTimeDigits = 8;
constexpr std::size_t kCheckDigits = 2;
static_assert(kPublisherDigits + kSequenceDigits + kTimeDigits + kCheckDigits == kStampBytes);

constexpr std::uint64_t kNsPerUs = 1000;

std::uint32_t to_us(std::uint64_t ns) {
  return static_cast<std::uint32_t>(ns / kNsPerUs);
}

using Text = std::array<std::uint8_t, kStampBytes>;

// One digit after the other, written or read.
template <typename Byte>
std::span<Byte> take(std::span<Byte>& text, std::size_t digits) {
  const std::span<Byte> taken = text.first(digits);
  text = text.subspan(digits);
  return taken;
}

void write_hex(std::span<std::uint8_t> digits, std::uint32_t value) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  for (auto digit = digits.rbegin(); digit != digits.rend(); ++digit, value >>= 4U) {
    *digit = static_cast<std::uint8_t>(kDigits[value & 15U]);
  }
}

// 0 for what is no number: writing it again shows that.
std::uint32_t read_hex(std::span<const std::uint8_t> digits) {
  const auto* begin = reinterpret_cast<const char*>(digits.data());
  std::uint32_t value = 0;
  std::from_chars(begin, begin + digits.size(), value, 16);
  return value;
}

// Differs when one byte does: the factor is odd.
std::uint32_t check_of(std::span<const std::uint8_t> text) {
  std::uint32_t sum = 0;
  for (const std::uint8_t byte : text) sum = sum * 31 + byte;
  return sum;
}

Text text_of(const Stamp& stamp) {
  Text text{};
  std::span<std::uint8_t> rest(text);
  write_hex(take(rest, kPublisherDigits), stamp.publisher);
  write_hex(take(rest, kSequenceDigits), stamp.sequence);
  write_hex(take(rest, kTimeDigits), stamp.sent_us);
  write_hex(rest, check_of(std::span(text).first(kStampBytes - kCheckDigits)));
  return text;
}

}  // namespace

Stamp make_stamp(std::uint32_t publisher, std::uint64_t sequence, std::uint64_t sent_ns) {
  constexpr std::uint64_t kSequenceMask = (1U << kStampSequenceBits) - 1;
  return {publisher, static_cast<std::uint32_t>(sequence & kSequenceMask), to_us(sent_ns)};
}

std::uint64_t whole_sequence(const Stamp& stamp, std::uint64_t near) {
  constexpr std::uint32_t kAbsentBits = 32 - kStampSequenceBits;
  const std::uint32_t ahead = (stamp.sequence - static_cast<std::uint32_t>(near)) << kAbsentBits;
  const std::int64_t difference = static_cast<std::int32_t>(ahead) >> kAbsentBits;
  return near + static_cast<std::uint64_t>(difference);
}

std::uint64_t age_ns(const Stamp& stamp, std::uint64_t now_ns) {
  const std::uint32_t age_us = to_us(now_ns) - stamp.sent_us;
  return std::uint64_t{age_us} * kNsPerUs;
}

void fill_stamped(std::span<std::uint8_t> payload, const Stamp& stamp, bool compressible) {
  const Text text = text_of(stamp);
  std::copy(text.begin(), text.end(), payload.begin());
  fill_payload(payload.subspan(kStampBytes), stamp.publisher, stamp.sequence, compressible);
}

std::optional<Stamp> read_stamped(std::span<const std::uint8_t> payload, bool compressible) {
  if (payload.size() < kStampBytes) return std::nullopt;
  std::span<const std::uint8_t> rest = payload;
  Stamp stamp;
  stamp.publisher = read_hex(take(rest, kPublisherDigits));
  stamp.sequence = read_hex(take(rest, kSequenceDigits));
  stamp.sent_us = read_hex(take(rest, kTimeDigits));
  const Text text = text_of(stamp);
  if (!std::equal(text.begin(), text.end(), payload.begin())) return std::nullopt;
  const bool right =
      is_payload(payload.subspan(kStampBytes), stamp.publisher, stamp.sequence, compressible);
  return right ? std::optional(stamp) : std::nullopt;
}

}  // namespace epulse::load
