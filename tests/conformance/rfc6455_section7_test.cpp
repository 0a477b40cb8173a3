// RFC 6455, 7: closing.
#include <gtest/gtest.h>

#include <string>

#include "server/ws/frame.hpp"
#include "tests/conformance/both_roles.hpp"

namespace epulse::conformance {
namespace {

// 7.1.1: the server closes the TCP connection first and cleanly, "discarding any trailing bytes
// that may have been received": with FIN, and no reset that could take its close frame with it.
TEST(Rfc6455_7_1_1, TrailingBytesDoNotResetTheStream) {
  const std::vector<Frame> trailing(100, binary(std::string(10'000, 'x')));
  for (const Frame& last : {close(1000), reserved(text("breach"), 1)}) {
    ServerEndpoint server(Server::plain());
    Script().send({last}).send(trailing).closes(last.opcode == 8 ? 1000 : 1002).run(server);
  }
}

// 7.1.2: "an endpoint MUST send a Close control frame, [...] whose status code is set to /code/ and
// whose close reason is set to /reason/".
TEST(Rfc6455_7_1_2, CloseFramesCarryCodeAndReason) {
  for (const auto& [code, reason] : {std::pair(ws::CloseCode::kGoingAway, std::string("bye")),
                                     std::pair(ws::CloseCode::kTooBig, std::string()),
                                     std::pair(ws::CloseCode::kNormal, std::string(123, 'x'))}) {
    const ws::ControlFrame frame = ws::encode_close(code, reason);
    EXPECT_EQ(Bytes(frame.view().begin(), frame.view().end()),
              wire(close(static_cast<int>(code), reason), Role::kClient));
  }
}

// 7.1.5: the close code "is considered to be 1005" without one, and an answer has none either.
TEST(Rfc6455_7_1_5, NoCodeIsAnsweredWithNone) {
  run_in_both_roles(Script().send({empty_close()}).closes(1005));
}

// 7.1.7: "MUST NOT continue to process data (including a responding Close frame)": neither what
// comes with the breach nor what comes later is answered.
TEST(Rfc6455_7_1_7, NothingIsProcessedAfterABreach) {
  const Frame breach = reserved(text("breach"), 2);
  const std::vector<Frame> late = {text("late"), ping("late"), close(1000)};
  run_in_both_roles(Script().send({breach}).send(late).closes(1002));
  run_in_both_roles(Script().send({breach, late[0], late[1], late[2]}).closes(1002));
  run_in_both_roles(Script().send({close(1000)}).send(late).closes(1000));
}

// 7.2.2: "the server MUST simply _Close the WebSocket Connection_" in the opening handshake: after
// its HTTP answer, with FIN.
TEST(Rfc6455_7_2_2, ARefusedHandshakeEndsTheStream) {
  testing::TestClient client(Server::plain().port());
  EXPECT_EQ(status_of(client.request("GET / HTTP/1.1\r\n" + fields_without("Host") + "\r\n")), 400);
  EXPECT_TRUE(client.ended());
  EXPECT_FALSE(client.was_reset());
}

// 7.4.1: 1005, 1006 and 1015 "MUST NOT be set as a status code in a Close control frame". 7.4.2 has
// the ranges; what is not assigned in 1000 to 2999 is not allowed, either.
bool is_allowed(int code) {
  return (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014) ||
         (code >= 3000 && code <= 4999);
}

TEST(Rfc6455_7_4_1, EveryCodeThereIs) {
  for (int code = 0; code <= 0xFFFF; ++code) {
    ASSERT_EQ(ws::may_be_sent(static_cast<std::uint16_t>(code)), is_allowed(code)) << code;
    ClientEndpoint client;
    Script().send({close(code)}).closes(is_allowed(code) ? code : 1002).run(client);
    ASSERT_FALSE(HasFailure()) << code;
  }
  for (int code :
       {0, 999, 1000, 1003, 1004, 1005, 1006, 1007, 1014, 1015, 1016, 2999, 3000, 4999, 5000}) {
    SCOPED_TRACE(code);
    ServerEndpoint server(Server::plain());
    Script().send({close(code)}).closes(is_allowed(code) ? code : 1002).run(server);
  }
}

TEST(Rfc6455_7_4_1, ReservedCodesAreNeverSent) {
  EXPECT_EQ(ws::encode_close(ws::CloseCode::kNoStatus, "reason").size, 2U);
  run_in_both_roles(Script().send({close(1006)}).closes(1002));
  run_in_both_roles(Script().send({close(1015)}).closes(1002));
}

// 1009, "a message that is too big for it to process": said by the header, before the payload
// comes.
TEST(Rfc6455_7_4_1, MessagesThatAreTooBig) {
  Server& server = Server::with({"--max-message", "1000"});
  const auto run = [&server](const Script& script) {
    ServerEndpoint endpoint(server);
    script.run(endpoint);
    ClientEndpoint client(1000);
    script.run(client);
  };
  run(echo(text(std::string(1000, 'x'))));
  run(Script().send({piece(text(std::string(1001, 'x')), 0, 0)}).closes(1009));
  run(Script()
          .send({more(text(std::string(1000, 'x'))), piece(continuation("y"), 0, 0)})
          .closes(1009));
}

}  // namespace
}  // namespace epulse::conformance
