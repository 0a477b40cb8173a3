// RFC 7692, 6 and 7, by epulse-ws: offers, and what is on the wire. The units behind it have tests
// of their own in tests/server, which docs/conformance.md lists.
#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "tests/conformance/server_endpoint.hpp"

namespace epulse::conformance {
namespace {

Server& shared() {
  return Server::with({"--compression", "shared", "--compression-min-bytes", "0"});
}
Server& dedicated() {
  return Server::with({"--compression", "dedicated", "--compression-window-bits", "15",
                       "--compression-min-bytes", "0"});
}

const std::string kField = "Sec-WebSocket-Extensions: ";
const std::string kName = "permessage-deflate";

// What is agreed on; "declined" without the extension, otherwise the status of a refusal.
std::string agreed(Server& server, const std::string& offers) {
  const std::string text = answer(server, kField + offers + "\r\n");
  if (status_of(text) != 101) return std::to_string(status_of(text));
  const std::size_t start = text.find("\r\n" + kField);
  if (start == std::string::npos) return "declined";
  const std::size_t value = start + 2 + kField.size();
  return text.substr(value, text.find("\r\n", value) - value);
}

std::string offer_with(const std::string& parameters) {
  return "permessage-deflate; " + parameters;
}

// 7: "A server MUST decline an extension negotiation offer for this extension if": a parameter is
// unknown, has an invalid value, is there twice, or is not supported.
TEST(Rfc7692_7, OffersThatMustBeDeclined) {
  for (const std::string parameters :
       {"unknown", "unknown=1", "server_no_context_takeover=1",
        "client_no_context_takeover=\"true\"", "server_max_window_bits", "server_max_window_bits=7",
        "server_max_window_bits=16", "server_max_window_bits=010", "server_max_window_bits=+9",
        "server_max_window_bits=9.5", "server_max_window_bits=99999999999",
        "client_max_window_bits=7", "client_max_window_bits=16", "client_max_window_bits=09",
        "client_max_window_bits=x", "server_no_context_takeover; server_no_context_takeover",
        "client_max_window_bits; client_max_window_bits=9",
        "server_max_window_bits=9; server_max_window_bits=9", "server_max_window_bits=8"}) {
    for (Server* server : {&shared(), &dedicated()}) {
      std::string offers = offer_with(parameters);
      EXPECT_EQ(agreed(*server, offers), "declined") << parameters;
      offers += ", permessage-deflate";  // It may be followed by one that will do.
      EXPECT_TRUE(agreed(*server, offers).starts_with(kName)) << parameters;
    }
  }
}

// RFC 6455, 9.1: what breaks the grammar fails the handshake, in whichever offer it is.
TEST(Rfc7692_7, MalformedOffers) {
  for (const std::string offers :
       {"permessage-deflate;", "permessage-deflate; ;", "permessage-deflate; =9",
        "permessage-deflate; server_max_window_bits=", "permessage-deflate x",
        "permessage-deflate; client_max_window_bits=\"9",
        "permessage-deflate; client_max_window_bits=\"\"",
        "permessage-deflate; client_max_window_bits=\"9 \"",
        "permessage-deflate, permessage-deflate;", "permessage-deflate; server_max_window_bits=9=9",
        "; permessage-deflate"}) {
    EXPECT_EQ(agreed(shared(), offers), "400") << offers;
  }
}

// 7.1.1 and 7.1.2: what an answer must and must not have for each offer.
TEST(Rfc7692_7_1, Answers) {
  const std::string server_none = "; server_no_context_takeover";
  const std::string none = server_none + "; client_no_context_takeover";
  for (const auto& [offer, from_shared, from_dedicated] : std::vector<std::array<std::string, 3>>{
           {"", none, ""},
           {"; server_no_context_takeover", none, server_none},
           {"; client_no_context_takeover", none, "; client_no_context_takeover"},
           {"; server_max_window_bits=9", none + "; server_max_window_bits=9",
            "; server_max_window_bits=9"},
           {"; server_max_window_bits=\"15\"", none + "; server_max_window_bits=15",
            "; server_max_window_bits=15"},
           {"; client_max_window_bits", none, ""},
           {"; client_max_window_bits=9", none, "; client_max_window_bits=9"}}) {
    EXPECT_EQ(agreed(shared(), kName + offer), kName + from_shared) << offer;
    EXPECT_EQ(agreed(dedicated(), kName + offer), kName + from_dedicated) << offer;
  }
}

// After an answer to this offer.
ServerEndpoint open(Server& server, const std::string& offer = kName) {
  testing::TestClient client(server.port());
  EXPECT_EQ(status_of(client.request("GET / HTTP/1.1\r\n" + necessary_fields() + kField + offer +
                                     "\r\n\r\n")),
            101);
  return {server, std::move(client)};
}

Frame compressed(Frame frame) {
  return reserved(std::move(frame), 4);
}

std::string bytes(std::initializer_list<unsigned> values) {
  std::string out;
  for (const unsigned value : values) out += static_cast<char>(value);
  return out;
}

const std::string kHello = bytes({0xF2, 0x48, 0xCD, 0xC9, 0xC9, 0x07, 0x00});

// 6: "An endpoint MUST NOT set the "Per-Message Compressed" bit of control frames and non-first
// fragments of a data message. An endpoint receiving such a frame MUST _Fail the WebSocket
// Connection_"; the other bits still mean nothing.
TEST(Rfc7692_6, ReservedBitsAfterNegotiation) {
  std::vector<std::vector<Frame>> breaches;
  for (const Frame& control : {ping("x"), pong("x"), close(1000), empty_close()}) {
    breaches.push_back({compressed(control)});
    breaches.push_back({compressed(more(text(kHello))), compressed(control), continuation("")});
  }
  for (const bool first : {false, true}) {
    const Frame start = more(binary(kHello));
    breaches.push_back({first ? compressed(start) : start, compressed(continuation(""))});
    breaches.push_back({first ? compressed(start) : start, compressed(more(continuation("")))});
  }
  for (const unsigned rsv : {1U, 2U, 3U, 5U, 6U, 7U}) {
    breaches.push_back({reserved(text(kHello), rsv)});
    breaches.push_back({reserved(binary(kHello), rsv)});
  }
  for (const std::vector<Frame>& frames : breaches) {
    ServerEndpoint server = open(shared());
    Script().send(frames).closes(1002).run(server);
    ServerEndpoint bytewise = open(dedicated());
    Script().send(frames, in_octets(1)).closes(1002).run(bytewise);
  }
}

// 7.2.3: the examples of the RFC, whole, in fragments and in octets. An echo of five bytes comes
// back uncompressed from shared compressors, which gain nothing from it.
TEST(Rfc7692_7_2_3, Examples) {
  for (const std::string& hello :
       {kHello, bytes({0x00, 0x05, 0x00, 0xFA, 0xFF, 0x48, 0x65, 0x6C, 0x6C, 0x6F, 0x00}),
        bytes({0xF3, 0x48, 0xCD, 0xC9, 0xC9, 0x07, 0x00, 0x00}),
        bytes({0xF2, 0x48, 0x05, 0x00, 0x00, 0x00, 0xFF, 0xFF, 0xCA, 0xC9, 0xC9, 0x07, 0x00})}) {
    ServerEndpoint server = open(shared());
    Script script;
    script.send({compressed(text(hello))}).expect(text("Hello"));
    script.send({compressed(text(hello))}, in_octets(1)).expect(text("Hello"));
    for (std::size_t size = 1; size < hello.size(); ++size) {
      std::vector<Frame> frames = fragments(text(hello), size);
      frames[0] = compressed(frames[0]);
      script.send(frames).expect(text("Hello"));
    }
    script.ends().run(server);
  }
}

// 7.2.3.2: the second message refers to the first, if a context was agreed on.
TEST(Rfc7692_7_2_3, SharingTheWindow) {
  const std::string again = bytes({0xF2, 0x00, 0x11, 0x00, 0x00});
  ServerEndpoint server = open(dedicated());
  server.send(wire({compressed(text(kHello)), compressed(text(again))}, Role::kServer));
  for (const std::string& expected : {kHello, again}) {
    const std::optional<Frame> echo = server.receive();
    ASSERT_TRUE(echo);
    EXPECT_EQ(echo->rsv, 4U);
    EXPECT_EQ(echo->payload, expected);
  }
  Script().ends().run(server);
  ServerEndpoint without = open(shared());
  Script()
      .send({compressed(text(kHello)), compressed(text(again))})
      .expect(text("Hello"))
      .closes(1007)
      .run(without);
}

// 7.2.3.6: an empty message, and an empty fragment.
TEST(Rfc7692_7_2_3, EmptyMessages) {
  ServerEndpoint server = open(shared());
  Script()
      .send({compressed(text(bytes({0x00})))})
      .expect(text(""))
      .send({compressed(more(binary(""))), continuation(bytes({0x00}))})
      .expect(binary(""))
      .ends()
      .run(server);
}

// 7.2.2: what cannot be decompressed. RFC 6455, 7.4.1: data "not consistent with the type of the
// message" is 1007.
TEST(Rfc7692_7_2_2, CorruptData) {
  for (const std::string& payload :
       {bytes({}), bytes({0x06}), bytes({0xFF, 0xFF, 0xFF}),
        bytes({0x00, 0x05, 0x00, 0xFA, 0x00, 1, 2, 3, 4, 5, 0x00}),
        bytes({0x00, 0x05, 0x00, 0xFA, 0xFF, 0x48, 0x65}), bytes({0xF2, 0x48, 0xCD}),
        bytes({0xF2, 0x00, 0x11, 0x00, 0x00})}) {
    for (Server* server : {&shared(), &dedicated()}) {
      const std::vector<std::vector<Frame>> ways = {
          {compressed(binary(payload))}, {compressed(more(text(payload))), continuation("")}};
      for (const std::vector<Frame>& frames : ways) {
        ServerEndpoint whole = open(*server);
        Script().send(frames).closes(1007).run(whole);
        ServerEndpoint bytewise = open(*server);
        Script().send(frames, in_octets(1)).closes(1007).run(bytewise);
      }
    }
  }
}

// RFC 6455, 8.1: the text is what was decompressed.
TEST(Rfc7692_7_2_2, TextThatIsNotUtf8) {
  const std::string stored = bytes({0x00, 0x02, 0x00, 0xFD, 0xFF, 0xC0, 0x80, 0x00});
  ServerEndpoint as_text = open(shared());
  Script().send({compressed(text(stored))}).closes(1007).run(as_text);
  ServerEndpoint as_binary = open(shared());
  Script().send({compressed(binary(stored))}).expect(binary("\xC0\x80")).run(as_binary);
}

}  // namespace
}  // namespace epulse::conformance
