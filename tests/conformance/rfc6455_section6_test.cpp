// RFC 6455, 6: sending and receiving data. Types, FIN, masks and fragments of answers are looked at
// wherever a script expects one; here is what is left.
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <csignal>

#include "tests/conformance/both_roles.hpp"

namespace epulse::conformance {
namespace {

// 6.1: "The endpoint MUST ensure the WebSocket connection is in the OPEN state": after its close
// frame the server sends nothing more, whatever it is asked.
TEST(Rfc6455_6_1, NoDataAfterTheServersCloseFrame) {
  testing::ServerChild server({"--workers", "1"});
  testing::TestClient client = testing::TestClient::open(server.port());
  server.child().signal(SIGTERM);
  Bytes received = client.receive_raw();
  const std::optional<Frame> first = take_frame(received);
  ASSERT_TRUE(first);
  EXPECT_EQ(first->opcode, 8U);
  EXPECT_EQ(close_code(*first), 1001);
  client.send_raw(wire({text("late"), ping("late"), close(1001)}, Role::kServer));
  EXPECT_TRUE(received.empty());
  EXPECT_TRUE(client.receive_raw().empty()) << "something after the close frame";
  EXPECT_TRUE(client.ended());
  EXPECT_FALSE(client.was_reset());
  shutdown(client.fd(), SHUT_WR);
  EXPECT_EQ(server.child().wait(), 0);
}

// 6.1: "The opcode of the first frame [...] MUST be set to the appropriate value", "The FIN bit of
// the last frame [...] MUST be set": is_answer() looks at both, for each type and length form.
TEST(Rfc6455_6_1, TypesComeBackAsTheyWere) {
  for (const std::size_t size : {0U, 1U, 125U, 126U, 65535U, 65536U}) {
    run_in_both_roles(echo(text(std::string(size, 'x'))));
    run_in_both_roles(echo(binary(std::string(size, '\xFF'))));
  }
}

// 6.2: "Subsequent data frames MUST be interpreted as belonging to a new WebSocket message."
TEST(Rfc6455_6_2, MessagesFollowOneAnother) {
  run_in_both_roles(Script()
                        .send({more(text("a")), continuation("b"), binary("c"), more(binary("d")),
                               continuation("e"), text("f")})
                        .expect(text("ab"))
                        .expect(binary("c"))
                        .expect(binary("de"))
                        .expect(text("f"))
                        .ends());
}

// 6.2: "A server MUST remove masking for data frames received from a client": any key, each frame
// with its own.
TEST(Rfc6455_6_2, AnyMaskIsRemoved) {
  ServerEndpoint server(Server::plain());
  const std::string payload = "masked with many keys";
  for (const ws::MaskKey key :
       {ws::MaskKey{0, 0, 0, 0}, ws::MaskKey{0xFF, 0xFF, 0xFF, 0xFF}, ws::MaskKey{1, 2, 3, 4}}) {
    Bytes frame = wire(text(payload), Role::kClient);
    frame[1] |= 0x80U;
    frame.insert(frame.begin() + 2, key.begin(), key.end());
    for (std::size_t i = 0; i < payload.size(); ++i) frame[6 + i] ^= key[i % 4];
    server.send(frame);
    Script().expect(text(payload)).run(server);
  }
  Script().ends().run(server);
}

}  // namespace
}  // namespace epulse::conformance
