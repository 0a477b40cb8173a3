// RFC 6455, 5: framing, masks, fragments and control frames; what Autobahn does not send.
#include <gtest/gtest.h>

#include <array>
#include <string>

#include "server/ws/frame.hpp"
#include "tests/conformance/both_roles.hpp"

namespace epulse::conformance {
namespace {

Frame with_mask(Frame frame, bool masked) {
  frame.masked = masked;
  return frame;
}

Frame with_length(Frame frame, unsigned bytes) {
  frame.length_bytes = bytes;
  return frame;
}

Frame of(unsigned opcode, std::string payload = {}) {
  return {.opcode = opcode, .payload = std::move(payload)};
}

constexpr std::array kKnown = {1U, 2U, 8U, 9U, 10U};
constexpr std::array kReserved = {3U, 4U, 5U, 6U, 7U, 11U, 12U, 13U, 14U, 15U};

Script breach(const std::vector<Frame>& frames) {
  return Script().send(frames).closes(1002);
}

// "The server MUST close the connection upon receiving a frame that is not masked."
TEST(Rfc6455_5_1, UnmaskedFramesOfClients) {
  for (const unsigned opcode : kKnown) {
    for (const char* payload : {"", "some payload"}) {
      SCOPED_TRACE(opcode);
      ServerEndpoint server(Server::plain());
      breach({with_mask(of(opcode, payload), false)}).run(server);
      ServerEndpoint bytewise(Server::plain());
      Script()
          .send({text("first"), with_mask(of(opcode, payload), false)}, in_octets(1))
          .expect(text("first"))
          .closes(1002)
          .run(bytewise);
    }
  }
  ServerEndpoint server(Server::plain());
  breach({more(text("a")), with_mask(continuation("b"), false)}).run(server);
}

// "A client MUST close a connection if it detects a masked frame."
TEST(Rfc6455_5_1, MaskedFramesOfServers) {
  for (const unsigned opcode : kKnown) {
    ClientEndpoint client;
    breach({with_mask(of(opcode, "x"), true)}).run(client);
  }
  ClientEndpoint client;
  breach({more(text("a")), with_mask(continuation("b"), true)}).run(client);
}

// RSV1 to RSV3 "MUST be 0 unless an extension is negotiated": every combination in every kind of
// frame.
TEST(Rfc6455_5_2, ReservedBits) {
  for (unsigned rsv = 1; rsv < 8; ++rsv) {
    for (const unsigned opcode : kKnown) {
      SCOPED_TRACE("rsv " + std::to_string(rsv) + ", opcode " + std::to_string(opcode));
      run_in_both_roles(breach({reserved(of(opcode), rsv)}));
    }
    run_in_both_roles(breach({more(text("a")), reserved(continuation("b"), rsv)}));
  }
}

// "If an unknown opcode is received, the receiving endpoint MUST _Fail the WebSocket Connection_."
TEST(Rfc6455_5_2, ReservedOpcodes) {
  for (const unsigned opcode : kReserved) {
    SCOPED_TRACE(opcode);
    run_in_both_roles(breach({of(opcode, "x")}));
    run_in_both_roles(breach({more(of(opcode))}));
    run_in_both_roles(breach({more(text("a")), of(opcode), continuation("b")}));
  }
}

// "the minimal number of bytes MUST be used to encode the length".
TEST(Rfc6455_5_2, LengthsThatAreNotMinimal) {
  for (const std::size_t size : {0U, 1U, 124U, 125U}) {
    for (const unsigned opcode : kKnown) {
      SCOPED_TRACE(std::to_string(size) + " bytes, opcode " + std::to_string(opcode));
      run_in_both_roles(breach({with_length(of(opcode, std::string(size, 'x')), 2)}));
      run_in_both_roles(breach({with_length(of(opcode, std::string(size, 'x')), 8)}));
    }
  }
  for (const std::size_t size : {126U, 127U, 65535U}) {
    run_in_both_roles(breach({with_length(text(std::string(size, 'x')), 8)}));
    run_in_both_roles(
        breach({more(text("a")), with_length(continuation(std::string(size, 'x')), 8)}));
  }
  run_in_both_roles(echo(text(std::string(126, 'x'))));
  run_in_both_roles(echo(text(std::string(65536, 'x'))));
}

// "(the most significant bit MUST be 0)". No payload follows, as nobody could send it.
TEST(Rfc6455_5_2, LengthsAbove63Bits) {
  for (const Role role : {Role::kServer, Role::kClient}) {
    const auto masked = static_cast<std::uint8_t>(role == Role::kServer ? 0x80 : 0);
    const Bytes header = {
        0x82, static_cast<std::uint8_t>(masked | 127U), 0x80, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0};
    ServerEndpoint server(Server::plain());
    ClientEndpoint client;
    Endpoint& endpoint = role == Role::kServer ? static_cast<Endpoint&>(server) : client;
    endpoint.send(header);
    Script().closes(1002).run(endpoint);
  }
}

// 5.3: "A masked frame MUST have the field frame-masked set to 1", and what the client sends is
// that with the key it picked. Keys: see LoadClient.
TEST(Rfc6455_5_3, FramesOfTheClientRoleAreMasked) {
  const ws::MaskKey key = {0x37, 0xFA, 0x21, 0x3D};
  const ws::HeaderBytes header = ws::encode_header({ws::Opcode::kText, 5, true, key, false});
  Bytes hello = bytes_of("Hello");
  ws::apply_mask(hello, key);
  EXPECT_EQ(Bytes(header.view().begin(), header.view().end()),
            (Bytes{0x81, 0x85, 0x37, 0xFA, 0x21, 0x3D}));
  EXPECT_EQ(hello, (Bytes{0x7F, 0x9F, 0x4D, 0x51, 0x58}));
  const auto as_sent = [](const ws::ControlFrame& frame) {
    return Bytes(frame.view().begin(), frame.view().end());
  };
  EXPECT_EQ(as_sent(ws::encode_control(ws::Opcode::kPong, bytes_of("Hello"), key)),
            wire(pong("Hello"), Role::kServer));
  EXPECT_EQ(as_sent(ws::encode_close(ws::CloseCode::kNormal, "bye", key)),
            wire(close(1000, "bye"), Role::kServer));
}

// "Control frames themselves MUST NOT be fragmented", alone and inside of a message.
TEST(Rfc6455_5_4, FragmentedControlFrames) {
  for (const unsigned opcode : {8U, 9U, 10U}) {
    run_in_both_roles(breach({more(of(opcode)), continuation("")}));
    run_in_both_roles(breach({more(text("a")), more(of(opcode)), continuation("b")}));
  }
}

// "The fragments of one message MUST NOT be interleaved between the fragments of another message".
TEST(Rfc6455_5_4, InterleavedMessages) {
  for (const Frame& second : {text("b"), binary("b"), more(text("b")), more(binary("b"))}) {
    run_in_both_roles(breach({more(text("a")), second}));
    run_in_both_roles(breach({more(binary("a")), more(continuation("a")), second}));
  }
}

// "Clients and servers MUST support receiving both fragmented and unfragmented messages"; "MUST be
// capable of handling control frames in the middle of a fragmented message"; "MUST be delivered to
// the recipient in the order sent". The type is that of the first fragment.
TEST(Rfc6455_5_4, FragmentsOfAnySizeWithControlFramesBetween) {
  const std::string payload = "The quick brown fox jumps over the lazy dog";
  for (const Frame& message : {text(payload), binary(payload)}) {
    for (std::size_t size = 1; size <= payload.size(); ++size) {
      std::vector<Frame> frames;
      Script script;
      for (const Frame& fragment : fragments(message, size)) {
        frames.insert(frames.end(), {fragment, ping(fragment.payload), pong()});
      }
      script.send(frames);
      for (const Frame& fragment : fragments(message, size)) {
        if (fragment.fin) script.expect(message);
        script.expect(pong(fragment.payload));
      }
      run_in_both_roles(script.ends());
    }
  }
}

// "All control frames MUST have a payload length of 125 bytes or less".
TEST(Rfc6455_5_5, LongControlFrames) {
  for (const unsigned opcode : {8U, 9U, 10U}) {
    for (const std::size_t size : {126U, 127U, 65535U, 65536U}) {
      const std::string payload = close(1000).payload + std::string(size - 2, 'x');
      run_in_both_roles(breach({of(opcode, payload)}));
    }
  }
}

// "the first two bytes of the body MUST be a 2-byte unsigned integer".
TEST(Rfc6455_5_5_1, ACloseFrameOfOneByte) {
  run_in_both_roles(breach({of(8, "\x03")}));
}

// "the endpoint MUST send a Close frame in response", with the code, also inside of a message;
// "MUST close the underlying TCP connection immediately".
TEST(Rfc6455_5_5_1, CloseIsAnswered) {
  for (const Frame& asked :
       {close(1000), close(1001, "going"), close(4999, std::string(123, 'x'))}) {
    run_in_both_roles(Script().send({asked}).closes(close_code(asked)));
    run_in_both_roles(Script().send({more(text("a")), asked}).closes(close_code(asked)));
    run_in_both_roles(Script().send({asked}, in_octets(1)).closes(close_code(asked)));
  }
  run_in_both_roles(Script().send({empty_close()}).closes(1005));
}

// "Upon receipt of a Ping frame, an endpoint MUST send a Pong frame in response", of "identical
// Application data", "unless it already received a Close frame".
TEST(Rfc6455_5_5_2, PongsForPingsOfEverySize) {
  Script script;
  for (std::size_t size = 0; size <= 125; ++size) {
    const std::string payload(size, static_cast<char>(0x80 + size));
    script.send({ping(payload)}).expect(pong(payload));
  }
  run_in_both_roles(script.ends());
  run_in_both_roles(Script().send({close(1000), ping("late")}).closes(1000));
}

// "A response to an unsolicited Pong frame is not expected."
TEST(Rfc6455_5_5_3, UnsolicitedPongs) {
  run_in_both_roles(Script().send({pong(), pong("x"), pong(std::string(125, 'x'))}).quiet().ends());
}

// "a particular text frame might include a partial UTF-8 sequence; however, the whole message MUST
// contain valid UTF-8"; a binary one need not.
TEST(Rfc6455_5_6, TextIsUtf8AsAWhole) {
  const std::string euro = "\xE2\x82\xAC";
  run_in_both_roles(Script().send(fragments(text(euro), 1)).expect(text(euro)).ends());
  run_in_both_roles(Script().send({more(text("\xE2\x82")), continuation("")}).closes(1007));
  run_in_both_roles(echo(binary("\xFF\xFE\xE2\x82")));
}

// 5.8: "The endpoints of a connection MUST negotiate the use of any extensions during the opening
// handshake": without, a compressed frame is a breach.
TEST(Rfc6455_5_8, NoExtensionWithoutNegotiation) {
  const std::string hello("\xF2\x48\xCD\xC9\xC9\x07\x00", 7);
  run_in_both_roles(breach({reserved(text(hello), 4)}));
  ServerEndpoint server(Server::with({"--compression", "shared", "--compression-min-bytes", "0"}));
  breach({reserved(text(hello), 4)}).run(server);
}

}  // namespace
}  // namespace epulse::conformance
