#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <optional>
#include <random>
#include <span>
#include <string>
#include <vector>

#include "server/ws/compression.hpp"
#include "server/ws/parser.hpp"
#include "tests/server/test_client.hpp"

// One end of a connection without a socket, with permessage-deflate.
namespace epulse::testing {

inline Bytes operator+(Bytes a, const Bytes& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

inline Bytes random_bytes(std::size_t size, std::size_t seed) {
  std::mt19937_64 random(seed);
  Bytes bytes(size);
  for (std::uint8_t& byte : bytes) byte = static_cast<std::uint8_t>(random());
  return bytes;
}

// ASCII that looks like what such servers carry, different for each seed.
inline Bytes json_text(std::size_t size, std::size_t seed) {
  std::mt19937_64 random(seed);
  std::string text = "[";
  while (text.size() < size) {
    text += R"({"id":)" + std::to_string(random() % 100'000) + R"(,"symbol":"ABC","price":)" +
            std::to_string(random() % 1000) + R"(,"side":"buy"},)";
  }
  return bytes_of(text.substr(0, size));
}

// As a server sends it.
inline Bytes frame(ws::Opcode opcode, std::span<const std::uint8_t> payload, bool fin = true,
                   bool compressed = false) {
  const ws::HeaderBytes header = ws::encode_header({opcode, payload.size(), fin, {}, compressed});
  Bytes out(header.view().begin(), header.view().end());
  out.insert(out.end(), payload.begin(), payload.end());
  return out;
}

// What an event says, on its own feet.
struct Seen {
  ws::Event::Kind kind;
  ws::Opcode opcode;
  Bytes payload;
  int code;

  friend bool operator==(const Seen&, const Seen&) = default;
};

class End {
 public:
  End(ws::Role role, const ws::DeflateSide& own, const ws::DeflateSide& peer,
      ws::CompressionOptions options = {}, std::uint32_t max_message = std::uint32_t{1} << 30U)
      : role_(role),
        compression_(std::make_unique<ws::Compression>(options)),
        sender_(*compression_, own),
        parser_(role, max_message) {
    parser_.expect_deflate(compression_->inflaters(), peer);
  }

  ws::DeflateSender& sender() { return sender_; }

  // From now on hears `bytes` of inflated messages, pauses, and goes on.
  void pause_every(std::uint64_t bytes) {
    pause_bytes_ = bytes;
    compression_->inflaters().allow(bytes);
  }
  std::size_t pauses() const { return pauses_; }

  // A message as it is on the wire; in fragments of `fragment` bytes unless that is 0.
  Bytes say(ws::Opcode opcode, std::span<const std::uint8_t> message, std::size_t fragment = 0) {
    const auto encoded = sender_.encode(message);
    const std::size_t step = fragment == 0 ? encoded.bytes.size() + 1 : fragment;
    Bytes out;
    std::size_t i = 0;
    do {
      const std::size_t size = std::min(step, encoded.bytes.size() - i);
      add_frame(out,
                {i == 0 ? opcode : ws::Opcode::kContinuation, size,
                 i + size == encoded.bytes.size(), mask(), encoded.compressed && i == 0},
                encoded.bytes.subspan(i, size));
      i += size;
    } while (i < encoded.bytes.size());
    return out;
  }

  std::vector<Seen> hear(Bytes stream) {
    std::vector<Seen> seen;
    std::span<std::uint8_t> input = stream;
    while (true) {
      const ws::Event event = parser_.next(input);
      if (event.kind == ws::Event::Kind::kNeedMore) return seen;
      if (event.kind == ws::Event::Kind::kPaused) {
        ++pauses_;
        compression_->inflaters().allow(pause_bytes_);
        continue;
      }
      seen.push_back({event.kind,
                      event.opcode,
                      {event.payload.begin(), event.payload.end()},
                      static_cast<int>(event.code)});
      if (event.kind == ws::Event::Kind::kClose || event.kind == ws::Event::Kind::kViolation) {
        return seen;
      }
    }
  }

  std::vector<Seen> hear_in_pieces(const Bytes& stream, std::size_t size) {
    std::vector<Seen> all;
    for (std::size_t i = 0; i < stream.size(); i += size) {
      const std::size_t end = std::min(i + size, stream.size());
      for (Seen& seen : hear(Bytes(stream.begin() + static_cast<std::ptrdiff_t>(i),
                                   stream.begin() + static_cast<std::ptrdiff_t>(end)))) {
        all.push_back(std::move(seen));
      }
      if (!all.empty() && all.back().kind == ws::Event::Kind::kViolation) break;
    }
    return all;
  }

 private:
  std::optional<ws::MaskKey> mask() const {
    if (role_ == ws::Role::kServer) return std::nullopt;
    return ws::MaskKey{0x37, 0xfa, 0x21, 0x3d};
  }

  static void add_frame(Bytes& out, const ws::FrameHeader& header,
                        std::span<const std::uint8_t> payload) {
    const ws::HeaderBytes head = ws::encode_header(header);
    out.insert(out.end(), head.view().begin(), head.view().end());
    const std::size_t start = out.size();
    out.insert(out.end(), payload.begin(), payload.end());
    if (header.mask) ws::apply_mask(std::span(out).subspan(start), *header.mask);
  }

  ws::Role role_;
  std::unique_ptr<ws::Compression> compression_;  // outlives who uses it, also in a move
  ws::DeflateSender sender_;
  ws::Parser parser_;
  std::uint64_t pause_bytes_ = 0;
  std::size_t pauses_ = 0;
};

}  // namespace epulse::testing
