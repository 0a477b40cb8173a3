#include "server/ws/deflater.hpp"

#include <algorithm>
#include <array>
#include <new>

#include "server/ws/zlib_memory.hpp"

namespace epulse::ws {
namespace {

constexpr std::size_t kTailBytes =
    4;  // 00 00 ff ff, of the empty block that a sync flush ends with
// zlib.h, deflate(): with six bytes or less it might flush twice.
constexpr std::size_t kFlushBytes = 16;

// 7.2.3.6. zlib would not do: asked twice in a row to flush nothing, it refuses.
constexpr std::array<std::uint8_t, 1> kEmptyMessage = {0x00};

}  // namespace

Deflater::Deflater(const Settings& settings) {
  use_our_memory(stream_);
  // Negative: raw DEFLATE, without zlib's header.
  if (deflateInit2(&stream_, settings.level, Z_DEFLATED, -settings.window_bits, settings.mem_level,
                   Z_DEFAULT_STRATEGY) != Z_OK) {
    throw std::bad_alloc();
  }
}

Deflater::~Deflater() {
  deflateEnd(&stream_);
}

std::span<const std::uint8_t> Deflater::deflate(std::span<const std::uint8_t> message,
                                                std::vector<std::uint8_t>& out) {
  if (message.empty()) return kEmptyMessage;
  if (is_stale_) deflateReset(&stream_);
  is_stale_ = false;
  std::size_t used = 0;
  stream_.avail_in = 0;
  do {
    if (stream_.avail_in == 0) {
      const auto piece = message.first(std::min(message.size(), kZlibStepBytes));
      message = message.subspan(piece.size());
      stream_.next_in = piece.data();
      stream_.avail_in = static_cast<uInt>(piece.size());
    }
    if (out.size() < used + kFlushBytes) {
      out.resize(
          std::max(2 * out.size(), used + kFlushBytes + deflateBound(&stream_, stream_.avail_in)));
    }
    const std::size_t room = std::min(out.size() - used, kZlibStepBytes);
    stream_.next_out = out.data() + used;
    stream_.avail_out = static_cast<uInt>(room);
    ::deflate(&stream_, message.empty() ? Z_SYNC_FLUSH : Z_NO_FLUSH);
    used += room - stream_.avail_out;
  } while (!message.empty() || stream_.avail_out == 0);
  return {out.data(), used - kTailBytes};
}

}  // namespace epulse::ws
