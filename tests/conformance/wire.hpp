#pragma once

#include <cstdint>
#include <optional>
#include <ostream>
#include <string>
#include <vector>

#include "server/ws/parser.hpp"
#include "tests/server/test_client.hpp"

// Frames as RFC 6455, 5.2, draws them, right and wrong ones. Written anew and not with server/ws,
// so that the program is not measured by itself.
namespace epulse::conformance {

using testing::Bytes;
using testing::bytes_of;
using testing::text_of;
using ws::Role;

struct Frame {
  unsigned opcode = 1;
  std::string payload{};
  bool fin = true;
  unsigned rsv = 0;                        // 4: RSV1, 2: RSV2, 1: RSV3
  std::optional<bool> masked{};            // otherwise as the sender's role asks for
  std::optional<unsigned> length_bytes{};  // 0, 2 or 8; otherwise as few as will do
  Bytes key{};                             // of a masked one that was received
  // Which bytes of the payload are sent, for a frame in pieces; the header goes with the first.
  std::size_t from = 0;
  std::size_t until = std::string::npos;
};

Frame text(std::string payload);
Frame binary(std::string payload);
Frame continuation(std::string payload);
Frame ping(std::string payload = {});
Frame pong(std::string payload = {});
Frame close(int code, const std::string& reason = {});
Frame empty_close();
// The same frame with another one of its message to follow; with reserved bits; a piece of it.
Frame more(Frame frame);
Frame reserved(Frame frame, unsigned rsv);
Frame piece(Frame frame, std::size_t from, std::size_t until);
// A message in frames of `size` bytes.
std::vector<Frame> fragments(const Frame& message, std::size_t size);

// As bytes for a receiver of this role.
Bytes wire(const Frame& frame, Role receiver);
Bytes wire(const std::vector<Frame>& frames, Role receiver);

// Cuts a frame off the front of `bytes`, and its mask off the frame; nothing while it is not all
// there. `masked`, `length_bytes` and `key` are set in what comes back.
std::optional<Frame> take_frame(Bytes& bytes);

// Of a close frame; 1005 when it has none.
int close_code(const Frame& frame);

// Whether what was received is what should be: also its mask, length form and reserved bits.
bool is_answer(const Frame& received, const Frame& expected);
std::ostream& operator<<(std::ostream& out, const Frame& frame);

}  // namespace epulse::conformance
