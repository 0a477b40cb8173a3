#include "tools/load/echo_frames.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <optional>

#include "server/ws/frame.hpp"
#include "tools/load/payload_words.hpp"

namespace epulse::load {
namespace {

constexpr std::uint8_t kWholeBinary = 0x80U | static_cast<unsigned>(ws::Opcode::kBinary);
constexpr std::uint8_t kMaskBit = 0x80;
constexpr std::uint32_t kMaxShort = 125;  // bytes of which the header's second byte tells

ws::HeaderBytes header_of(std::uint32_t bytes, std::optional<ws::MaskKey> mask) {
  return ws::encode_header({ws::Opcode::kBinary, bytes, true, mask});
}

// Writes the header; its size.
std::size_t put_header(std::uint8_t* at, std::uint32_t bytes, ws::MaskKey mask) {
  if (bytes > kMaxShort) {
    const ws::HeaderBytes header = header_of(bytes, mask);
    std::copy_n(header.bytes.begin(), header.size, at);
    return header.size;
  }
  at[0] = kWholeBinary;
  at[1] = static_cast<std::uint8_t>(kMaskBit | bytes);
  std::memcpy(at + 2, mask.data(), mask.size());
  return 2 + mask.size();
}

// Bytes of the header of an unmasked message, if `input` begins with it; else 0.
std::size_t header_bytes(std::span<const std::uint8_t> input, std::uint32_t bytes) {
  if (bytes <= kMaxShort) {
    return input.size() >= 2 && input[0] == kWholeBinary && input[1] == bytes ? 2 : 0;
  }
  const ws::HeaderBytes header = header_of(bytes, std::nullopt);
  const bool there = input.size() >= header.size &&
                     std::equal(header.view().begin(), header.view().end(), input.begin());
  return there ? header.size : 0;
}

}  // namespace

// Nearly always: all of one length, which the second byte of a header tells, and of the pattern
// that cannot be compressed. These have loops of their own, with nothing to decide for each
// message.
bool EchoFrames::all_simple() const {
  return !compressible_ && sizes_.fixed() && sizes_.bytes(connection_, 0) <= kMaxShort;
}

// What is beyond the last one's end is room for a longer header.
std::uint8_t* EchoFrames::put_simple(std::uint8_t* at, std::uint64_t first, std::uint32_t count,
                                     RandomBits& random) const {
  const std::uint32_t bytes = sizes_.bytes(connection_, first);
  const std::array<std::uint8_t, 2> header = {kWholeBinary,
                                              static_cast<std::uint8_t>(kMaskBit | bytes)};
  for (std::uint64_t sequence = first; sequence < first + count; ++sequence) {
    const std::uint32_t key = random.next();
    std::memcpy(at, header.data(), header.size());
    std::memcpy(at + header.size(), &key, sizeof key);
    at += header.size() + sizeof key;
    put_words_and_more(at, bytes, PlainWords(connection_, sequence),
                       std::uint64_t{key} << 32U | key);
    at += bytes;
  }
  return at;
}

// Only those with a word more behind them, which comparing may read; take() looks at the others.
std::uint32_t EchoFrames::take_simple(std::span<std::uint8_t>& input, std::uint64_t first,
                                      std::uint64_t max) const {
  const std::uint32_t bytes = sizes_.bytes(connection_, first);
  const auto header = static_cast<std::uint16_t>(kWholeBinary | bytes << 8U);
  const std::size_t frame = sizeof header + bytes;
  std::uint32_t count = 0;
  std::size_t at = 0;
  for (; count < max && input.size() - at >= frame + kWordBytes; ++count, at += frame) {
    std::uint16_t seen = 0;
    std::memcpy(&seen, &input[at], sizeof seen);
    const PlainWords words(connection_, first + count);
    if (seen != header || !has_words_and_more(&input[at + sizeof seen], bytes, words)) break;
  }
  input = input.subspan(at);
  return count;
}

void EchoFrames::append(std::vector<std::uint8_t>& output, std::uint64_t first, std::uint32_t count,
                        RandomBits& random) const {
  std::size_t at = output.size();
  std::size_t most = at;
  for (std::uint64_t sequence = first; sequence < first + count; ++sequence) {
    most += sizes_.bytes(connection_, sequence) + ws::kMaxHeaderBytes;
  }
  output.resize(most);
  if (all_simple()) {
    const std::uint8_t* const end = put_simple(output.data() + at, first, count, random);
    return output.resize(static_cast<std::size_t>(end - output.data()));
  }
  for (std::uint64_t sequence = first; sequence < first + count; ++sequence) {
    const std::uint32_t bytes = sizes_.bytes(connection_, sequence);
    const std::uint32_t key = random.next();
    at += put_header(output.data() + at, bytes, std::bit_cast<ws::MaskKey>(key));
    put_words(std::span(output).subspan(at, bytes),
              PayloadWords(connection_, sequence, compressible_), std::uint64_t{key} << 32U | key);
    at += bytes;
  }
  output.resize(at);
}

std::size_t EchoFrames::answer_bytes(std::span<const std::uint8_t> input,
                                     std::uint64_t sequence) const {
  const std::uint32_t bytes = sizes_.bytes(connection_, sequence);
  const std::size_t header = header_bytes(input, bytes);
  if (header == 0 || input.size() - header < bytes) return 0;
  const PayloadWords words(connection_, sequence, compressible_);
  return has_words(input.subspan(header, bytes), words) ? header + bytes : 0;
}

std::uint32_t EchoFrames::take(std::span<std::uint8_t>& input, std::uint64_t first,
                               std::uint64_t max) const {
  std::uint32_t count = all_simple() ? take_simple(input, first, max) : 0;
  for (; count < max; ++count) {
    const std::size_t bytes = answer_bytes(input, first + count);
    if (bytes == 0) break;
    input = input.subspan(bytes);
  }
  return count;
}

}  // namespace epulse::load
