#include "tools/load/stamp.hpp"

#include <array>
#include <cstddef>
#include <string_view>

#include "tools/load/payload.hpp"

namespace epulse::load {
namespace {

constexpr std::size_t kPublisherDigits = 4;
constexpr std::size_t kSequenceDigits = kStampSequenceBits / 4;
constexpr std::size_t kTimeDigits = 8;
constexpr std::size_t kCheckDigits = 2;
constexpr std::size_t kCheckedDigits = kPublisherDigits + kSequenceDigits + kTimeDigits;
static_assert(kCheckedDigits + kCheckDigits == kStampBytes);

constexpr std::uint64_t kNsPerUs = 1000;

std::uint32_t to_us(std::uint64_t ns) {
  return static_cast<std::uint32_t>(ns / kNsPerUs);
}

constexpr std::string_view kDigits = "0123456789abcdef";
constexpr std::uint8_t kNoDigit = 0xF0;

constexpr std::array<std::uint8_t, 256> kDigitValues = [] {
  std::array<std::uint8_t, 256> values{};
  values.fill(kNoDigit);
  for (std::size_t k = 0; k < kDigits.size(); ++k) {
    values[static_cast<std::uint8_t>(kDigits[k])] = static_cast<std::uint8_t>(k);
  }
  return values;
}();

class HexWriter {
 public:
  explicit HexWriter(std::span<std::uint8_t> text) : text_(text) {}

  void put(std::uint32_t value, std::size_t digits) {
    for (std::size_t k = digits; k-- > 0; value >>= 4U) {
      text_[k] = static_cast<std::uint8_t>(kDigits[value & 15U]);
    }
    text_ = text_.subspan(digits);
  }

 private:
  std::span<std::uint8_t> text_;
};

class HexReader {
 public:
  explicit HexReader(std::span<const std::uint8_t> text) : text_(text) {}

  std::uint32_t take(std::size_t digits) {
    std::uint32_t value = 0;
    for (const std::uint8_t byte : text_.first(digits)) {
      const std::uint8_t digit = kDigitValues[byte];
      seen_ |= digit;
      value = value << 4U | (digit & 15U);
    }
    text_ = text_.subspan(digits);
    return value;
  }
  // Whether nothing but digits was taken.
  bool right() const { return (seen_ & kNoDigit) == 0; }

 private:
  std::span<const std::uint8_t> text_;
  std::uint8_t seen_ = 0;
};

// Differs when one byte does, since the factors are odd.
std::uint32_t check_of(std::span<const std::uint8_t> text) {
  std::uint32_t sum = 0;
  for (std::uint32_t k = 0; k < kCheckedDigits; ++k) sum += text[k] * (2 * k + 1);
  return sum & 0xFFU;
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
  HexWriter writer(payload);
  writer.put(stamp.publisher, kPublisherDigits);
  writer.put(stamp.sequence, kSequenceDigits);
  writer.put(stamp.sent_us, kTimeDigits);
  writer.put(check_of(payload), kCheckDigits);
  fill_payload(payload.subspan(kStampBytes), stamp.publisher, stamp.sequence, compressible);
}

std::optional<Stamp> read_stamped(std::span<const std::uint8_t> payload, bool compressible) {
  if (payload.size() < kStampBytes) return std::nullopt;
  HexReader reader(payload);
  Stamp stamp;
  stamp.publisher = reader.take(kPublisherDigits);
  stamp.sequence = reader.take(kSequenceDigits);
  stamp.sent_us = reader.take(kTimeDigits);
  const std::uint32_t check = reader.take(kCheckDigits);
  if (!reader.right() || check != check_of(payload)) return std::nullopt;
  const bool right =
      is_payload(payload.subspan(kStampBytes), stamp.publisher, stamp.sequence, compressible);
  return right ? std::optional(stamp) : std::nullopt;
}

}  // namespace epulse::load
