#include "tools/load/echo_frames.hpp"

#include <algorithm>
#include <bit>
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

void EchoFrames::append(std::vector<std::uint8_t>& output, std::uint64_t first, std::uint32_t count,
                        RandomBits& random) const {
  std::size_t at = output.size();
  std::size_t most = at;
  for (std::uint64_t sequence = first; sequence < first + count; ++sequence) {
    most += sizes_.bytes(connection_, sequence) + ws::kMaxHeaderBytes;
  }
  output.resize(most);
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
  std::uint32_t count = 0;
  for (; count < max; ++count) {
    const std::size_t bytes = answer_bytes(input, first + count);
    if (bytes == 0) break;
    input = input.subspan(bytes);
  }
  return count;
}

}  // namespace epulse::load
