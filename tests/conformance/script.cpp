#include "tests/conformance/script.hpp"

#include <gtest/gtest.h>

#include <algorithm>

namespace epulse::conformance {
namespace {

// Only short streams wait for each piece to be read: with long ones, that the writes differ will
// do.
constexpr std::size_t kSettledBytes = 400;

void send_in_pieces(Endpoint& endpoint, const Bytes& bytes, std::size_t octets) {
  for (std::size_t i = 0; i < bytes.size(); i += octets) {
    const auto first = bytes.begin() + static_cast<std::ptrdiff_t>(i);
    endpoint.send(
        Bytes(first, first + static_cast<std::ptrdiff_t>(std::min(octets, bytes.size() - i))));
    if (bytes.size() <= kSettledBytes) endpoint.settle();
  }
}

void send_frames(Endpoint& endpoint, const std::vector<Frame>& frames, Pieces pieces) {
  switch (pieces.cut) {
    case Pieces::Cut::kNone:
      return endpoint.send(wire(frames, endpoint.role()));
    case Pieces::Cut::kOctets:
      return send_in_pieces(endpoint, wire(frames, endpoint.role()), pieces.octets);
    case Pieces::Cut::kFrames:
      for (const Frame& frame : frames) {
        endpoint.send(wire(frame, endpoint.role()));
        endpoint.settle();
      }
  }
}

void expect_frame(Endpoint& endpoint, const Frame& expected) {
  const std::optional<Frame> received = endpoint.receive();
  ASSERT_TRUE(received) << "nothing came; expected " << expected;
  EXPECT_TRUE(is_answer(*received, expected)) << *received << "\nexpected " << expected;
}

void expect_close(Endpoint& endpoint, int code) {
  const std::optional<Frame> received = endpoint.receive();
  ASSERT_TRUE(received) << "no close frame";
  ASSERT_EQ(received->opcode, 8U) << *received;
  EXPECT_EQ(close_code(*received), code);
  EXPECT_TRUE(is_answer(*received, {.opcode = 8, .payload = received->payload})) << *received;
  endpoint.expect_clean_end();
}

}  // namespace

Script& Script::send(std::vector<Frame> frames, Pieces pieces) {
  steps_.emplace_back([frames = std::move(frames), pieces](Endpoint& endpoint) {
    send_frames(endpoint, frames, pieces);
  });
  return *this;
}

Script& Script::expect(const Frame& answer) {
  steps_.emplace_back([answer](Endpoint& endpoint) { expect_frame(endpoint, answer); });
  return *this;
}

Script& Script::quiet() {
  steps_.emplace_back([](Endpoint& endpoint) {
    endpoint.settle();
    EXPECT_TRUE(endpoint.is_quiet());
  });
  return *this;
}

Script& Script::closes(int code) {
  steps_.emplace_back([code](Endpoint& endpoint) { expect_close(endpoint, code); });
  return *this;
}

Script& Script::ends() {
  return send({close(1000)}).closes(1000);
}

void Script::run(Endpoint& endpoint) const {
  for (std::size_t i = 0; i < steps_.size(); ++i) {
    SCOPED_TRACE("step " + std::to_string(i + 1) + " of " + std::to_string(steps_.size()));
    steps_[i](endpoint);
    if (::testing::Test::HasFailure()) return;
  }
}

Script echo(const Frame& message, Pieces pieces) {
  return Script().send({message}, pieces).expect(message).ends();
}

}  // namespace epulse::conformance
