// Who is echoed to, and who is relayed to others.
#include "server/echo_handler.hpp"

#include <gtest/gtest.h>

#include <string>
#include <utility>

#include "server/session/session.hpp"
#include "tests/server/turn.hpp"

namespace epulse::server {
namespace {

using testing::bytes_of;
using testing::client_frame;
using ws::Opcode;

class Echo : public ::testing::Test {
 protected:
  Echo() { session.attach(engine); }

  void open(std::uint32_t slot, std::string_view path) {
    session.on_accept({slot, 0});
    testing::Bytes request = request_for(path);
    session.on_data({slot, 0}, request);
    engine.sent[slot].clear();
  }
  void hear(std::uint32_t slot, std::string_view text) {
    testing::Bytes frame = client_frame(Opcode::kText, bytes_of(text));
    session.on_data({slot, 0}, frame);
  }
  void leave(std::uint32_t slot) { session.on_closed({slot, 0}, CloseReason::kPeer); }
  std::string sent(std::uint32_t slot) { return std::exchange(engine.sent[slot], {}); }

  Turn engine;
  SharedState shared{{.max_connections = 10}, {}, 1};
  EchoHandler handler{{}};
  Session session{shared, 0, handler};
};

// Whoever has come and gone, with a topic or without: a subscriber's message is for its topic.
TEST_F(Echo, SubscribersAreKnownWhoeverLeaves) {
  open(0, "/");
  open(1, "/topic/a");
  open(2, "/topic/a");
  open(3, "/topic/b");
  leave(0);
  leave(3);
  hear(1, "to all");
  EXPECT_EQ(sent(1), "\x81\x06to all");
  EXPECT_EQ(sent(2), "\x81\x06to all");
  open(4, "/");
  hear(4, "echo");
  EXPECT_EQ(sent(4),
            "\x81\x04"
            "echo");
  EXPECT_EQ(sent(1) + sent(2), "");
  leave(1);
  leave(2);
  hear(4, "again");
  EXPECT_EQ(sent(4),
            "\x81\x05"
            "again");
  open(5, "/topic/a");
  open(6, "/topic/a");
  hear(6, "once more");
  EXPECT_EQ(sent(5), "\x81\x09once more");
}

}  // namespace
}  // namespace epulse::server
