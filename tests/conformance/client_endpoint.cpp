#include "tests/conformance/client_endpoint.hpp"

#include <gtest/gtest.h>

namespace epulse::conformance {

using Kind = ws::Event::Kind;

void ClientEndpoint::send(Bytes bytes) {
  std::span<std::uint8_t> input = bytes;
  while (!closed_) {
    const ws::Event event = parser_.next(input);
    if (event.kind == Kind::kNeedMore) return;
    answer(event);
  }
}

// As a client that echoes does, but for the mask, which encode_header() and encode_control() are
// given: see Rfc6455_5_3.
void ClientEndpoint::answer(const ws::Event& event) {
  const std::string payload = text_of(event.payload);
  switch (event.kind) {
    case Kind::kMessage:
      answers_.push_back({.opcode = static_cast<unsigned>(event.opcode), .payload = payload});
      return;
    case Kind::kPing:
      answers_.push_back(pong(payload));
      return;
    case Kind::kClose:
    case Kind::kViolation: {
      closed_ = true;
      const int code = static_cast<int>(event.code);
      answers_.push_back(event.code == ws::CloseCode::kNoStatus ? empty_close() : close(code));
      return;
    }
    case Kind::kPong:
    case Kind::kNeedMore:
    case Kind::kPaused:  // never: nobody limits its pool
      return;
  }
}

std::optional<Frame> ClientEndpoint::receive() {
  if (answers_.empty()) return std::nullopt;
  // On the wire and back, so that it has a length form like one that was received.
  Bytes bytes = wire(answers_.front(), Role::kClient);
  answers_.pop_front();
  return take_frame(bytes);
}

void ClientEndpoint::expect_clean_end() {
  EXPECT_TRUE(closed_);
  EXPECT_TRUE(answers_.empty()) << answers_.front();
}

}  // namespace epulse::conformance
