#include "server/ws/inflater.hpp"

#include <algorithm>
#include <new>

#include "server/ws/zlib_memory.hpp"

namespace epulse::ws {
namespace {

constexpr int kBlockEnded = 128;  // a bit of z_stream::data_type (inflate() in zlib.h)

}  // namespace

Inflater::Inflater(std::uint8_t window_bits) {
  use_our_memory(stream_);
  // Negative: raw DEFLATE, without zlib's header.
  if (inflateInit2(&stream_, -static_cast<int>(window_bits)) != Z_OK) throw std::bad_alloc();
}

Inflater::~Inflater() {
  inflateEnd(&stream_);
}

void Inflater::reset() {
  inflateReset(&stream_);
  at_block_end_ = true;
}

Inflater::Status Inflater::inflate(std::span<const std::uint8_t>& input,
                                   std::span<std::uint8_t>& output) {
  while (true) {
    const std::size_t offered = std::min(input.size(), kZlibStepBytes);
    const std::size_t room = std::min(output.size(), kZlibStepBytes);
    stream_.next_in = input.data();
    stream_.avail_in = static_cast<uInt>(offered);
    stream_.next_out = output.data();
    stream_.avail_out = static_cast<uInt>(room);
    const int code = ::inflate(&stream_, Z_SYNC_FLUSH);
    input = input.subspan(offered - stream_.avail_in);
    output = output.subspan(room - stream_.avail_out);
    at_block_end_ = code == Z_STREAM_END || (stream_.data_type & kBlockEnded) != 0;
    switch (code) {
      case Z_STREAM_END:
        // A block with BFINAL, which need not be the last (7.2.1, 7.2.3.4): the next one goes on
        // with the same window, and this keeps it without a copy, which a message of nothing but
        // such blocks would make the peer's weapon. zlib.h has it among the undocumented functions.
        inflateResetKeep(&stream_);
        break;
      case Z_OK:
      case Z_BUF_ERROR:  // nothing to do for want of input or room
        break;
      case Z_MEM_ERROR:
        throw std::bad_alloc();
      default:  // Z_DATA_ERROR; the others cannot come from raw DEFLATE
        return Status::kCorrupt;
    }
    if (output.empty()) return Status::kOutputFull;
    if (input.empty()) return Status::kInputUsed;
  }
}

}  // namespace epulse::ws
