#include "server/ws/compression.hpp"

#include <algorithm>
#include <bit>

namespace epulse::ws {
namespace {

constexpr std::size_t kOutputBytesKept = std::size_t{1024} * 1024;
// deflate never looks further back than a window less this: MIN_LOOKAHEAD, longest match and more.
constexpr std::size_t kLookaheadBytes = 262;

// Hash table and symbol buffer as large as the window. Starting afresh clears the table, which is
// the larger part of what a small message costs with zlib's default.
int mem_level_for(int window_bits) {
  return std::clamp(window_bits - 7, 1, 8);
}

}  // namespace

Compression::Compression(const CompressionOptions& options)
    : options_(options), inflaters_(options.inflating_cap_bytes) {}

DeflatePolicy Compression::policy() const {
  const bool dedicated = options_.mode == CompressionOptions::Mode::kDedicated;
  return {dedicated, dedicated ? options_.window_bits : kMaxWindowBits};
}

std::uint8_t Compression::window_bits_for(std::size_t bytes, std::uint8_t window_bits_max) {
  const auto needed = static_cast<std::uint8_t>(std::bit_width(bytes + kLookaheadBytes - 1));
  return std::min(std::max(needed, kMinWindowBits), window_bits_max);
}

std::span<const std::uint8_t> Compression::deflate(std::span<const std::uint8_t> message,
                                                   std::uint8_t window_bits_max) {
  const int bits = window_bits_for(message.size(), window_bits_max);
  std::unique_ptr<Deflater>& deflater = shared_[static_cast<std::size_t>(bits)];
  if (!deflater) {
    deflater =
        std::make_unique<Deflater>(Deflater::Settings{bits, mem_level_for(bits), options_.level});
  }
  deflater->reset();
  return deflate(message, *deflater);
}

std::span<const std::uint8_t> Compression::deflate(std::span<const std::uint8_t> message,
                                                   Deflater& own) {
  trim();
  return own.deflate(message, output_);
}

// A large message leaves no large buffer behind.
void Compression::trim() {
  if (output_.size() > kOutputBytesKept) std::vector<std::uint8_t>().swap(output_);
}

DeflateSender::Payload DeflateSender::compress(std::span<const std::uint8_t> message) {
  if (window_bits() == 0 || message.size() < compression_->options().min_bytes) {
    return {message, false};
  }
  if (!side_.context_takeover) {
    const auto deflated = compression_->deflate(message, side_.window_bits);
    // Nothing gained: then the peer need not inflate it either.
    if (deflated.size() >= message.size()) return {message, false};
    return {deflated, true};
  }
  const CompressionOptions& options = compression_->options();
  if (!own_) {
    // It may always be smaller than what the peer allows.
    const int bits = std::min(side_.window_bits, options.window_bits);
    own_ = std::make_unique<Deflater>(Deflater::Settings{bits, options.mem_level, options.level});
  }
  return {compression_->deflate(message, *own_), true};
}

std::uint8_t DeflateSender::window_bits() const {
  if (compression_ == nullptr || side_.window_bits < kMinWindowBits) return 0;
  return side_.window_bits;
}

}  // namespace epulse::ws
