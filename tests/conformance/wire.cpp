#include "tests/conformance/wire.hpp"

#include <gtest/gtest.h>

#include <array>
#include <string_view>

namespace epulse::conformance {
namespace {

constexpr std::array<std::uint8_t, 4> kMask = {0x37, 0xFA, 0x21, 0x3D};

unsigned shortest_form(std::size_t length) {
  if (length < 126) return 0;
  return length <= 0xFFFF ? 2 : 8;
}

void append_number(Bytes& out, std::uint64_t number, unsigned bytes) {
  for (unsigned i = bytes; i > 0; --i)
    out.push_back(static_cast<std::uint8_t>(number >> 8 * (i - 1)));
}

std::uint64_t read_number(const Bytes& bytes, std::size_t at, unsigned size) {
  std::uint64_t number = 0;
  for (unsigned i = 0; i < size; ++i) number = number << 8U | bytes[at + i];
  return number;
}

Bytes header(const Frame& frame, bool masked) {
  const std::size_t length = frame.payload.size();
  const unsigned form = frame.length_bytes.value_or(shortest_form(length));
  const std::size_t short_length = form == 0 ? length : form == 2 ? 126 : 127;
  Bytes out = {static_cast<std::uint8_t>((frame.fin ? 0x80U : 0) | frame.rsv << 4U | frame.opcode),
               static_cast<std::uint8_t>((masked ? 0x80U : 0) | short_length)};
  append_number(out, length, form);
  if (masked) out.insert(out.end(), kMask.begin(), kMask.end());
  return out;
}

}  // namespace

Frame text(std::string payload) {
  return {.opcode = 1, .payload = std::move(payload)};
}
Frame binary(std::string payload) {
  return {.opcode = 2, .payload = std::move(payload)};
}
Frame continuation(std::string payload) {
  return {.opcode = 0, .payload = std::move(payload)};
}
Frame ping(std::string payload) {
  return {.opcode = 9, .payload = std::move(payload)};
}
Frame pong(std::string payload) {
  return {.opcode = 10, .payload = std::move(payload)};
}
Frame close(int code, const std::string& reason) {
  return {.opcode = 8,
          .payload = std::string{static_cast<char>(code >> 8), static_cast<char>(code)} + reason};
}
Frame empty_close() {
  return {.opcode = 8};
}

Frame more(Frame frame) {
  frame.fin = false;
  return frame;
}
Frame reserved(Frame frame, unsigned rsv) {
  frame.rsv = rsv;
  return frame;
}
Frame piece(Frame frame, std::size_t from, std::size_t until) {
  frame.from = from;
  frame.until = until;
  return frame;
}

std::vector<Frame> fragments(const Frame& message, std::size_t size) {
  std::vector<Frame> frames;
  std::size_t at = 0;
  do {
    Frame frame = frames.empty() ? message : continuation({});
    frame.payload = message.payload.substr(at, size);
    at += frame.payload.size();
    frame.fin = at == message.payload.size();
    frames.push_back(std::move(frame));
  } while (at < message.payload.size());
  return frames;
}

Bytes wire(const Frame& frame, Role receiver) {
  const bool masked = frame.masked.value_or(receiver == Role::kServer);
  Bytes out = frame.from == 0 ? header(frame, masked) : Bytes{};
  const std::string_view payload = std::string_view(frame.payload).substr(0, frame.until);
  const std::size_t start = out.size();
  out.insert(out.end(), payload.begin() + static_cast<std::ptrdiff_t>(frame.from), payload.end());
  for (std::size_t i = frame.from; masked && i < payload.size(); ++i) {
    out[start + i - frame.from] ^= kMask[i % 4];
  }
  return out;
}

Bytes wire(const std::vector<Frame>& frames, Role receiver) {
  Bytes out;
  for (const Frame& frame : frames) {
    const Bytes bytes = wire(frame, receiver);
    out.insert(out.end(), bytes.begin(), bytes.end());
  }
  return out;
}

std::optional<Frame> take_frame(Bytes& bytes) {
  if (bytes.size() < 2) return std::nullopt;
  const unsigned short_length = bytes[1] & 0x7FU;
  const unsigned form = short_length < 126 ? 0 : short_length == 126 ? 2 : 8;
  const bool masked = (bytes[1] & 0x80U) != 0;
  const std::size_t start = 2 + form + (masked ? 4 : 0);
  if (bytes.size() < start) return std::nullopt;
  const std::uint64_t length = form == 0 ? short_length : read_number(bytes, 2, form);
  if (bytes.size() - start < length) return std::nullopt;
  const auto first = bytes.begin() + static_cast<std::ptrdiff_t>(start);
  const auto last = first + static_cast<std::ptrdiff_t>(length);
  Frame frame{.opcode = bytes[0] & 0x0FU,
              .payload = std::string(first, last),
              .fin = (bytes[0] & 0x80U) != 0,
              .rsv = bytes[0] >> 4U & 7U,
              .masked = masked,
              .length_bytes = form};
  if (masked) frame.key = {first - 4, first};
  for (std::size_t i = 0; masked && i < frame.payload.size(); ++i) {
    frame.payload[i] = static_cast<char>(frame.payload[i] ^ frame.key[i % 4]);
  }
  bytes.erase(bytes.begin(), last);
  return frame;
}

int close_code(const Frame& frame) {
  if (frame.payload.size() < 2) return 1005;
  return static_cast<std::uint8_t>(frame.payload[0]) << 8 |
         static_cast<std::uint8_t>(frame.payload[1]);
}

bool is_answer(const Frame& received, const Frame& expected) {
  return received.opcode == expected.opcode && received.payload == expected.payload &&
         received.fin && received.rsv == 0 && received.masked == false &&
         received.length_bytes == shortest_form(received.payload.size());
}

std::ostream& operator<<(std::ostream& out, const Frame& frame) {
  constexpr std::size_t kShown = 60;
  out << "opcode " << frame.opcode << (frame.fin ? "" : ", more to follow") << ", rsv " << frame.rsv
      << ", " << frame.payload.size()
      << " bytes: " << ::testing::PrintToString(frame.payload.substr(0, kShown));
  return frame.opcode == 8 ? out << ", code " << close_code(frame) : out;
}

}  // namespace epulse::conformance
