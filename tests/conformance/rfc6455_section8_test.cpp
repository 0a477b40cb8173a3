// RFC 6455, 8.1: "When an endpoint is to interpret a byte stream as UTF-8 but finds that the byte
// stream is not, in fact, a valid UTF-8 stream, that endpoint MUST _Fail the WebSocket
// Connection_." Which streams those are: Autobahn's section 6, here for close reasons and the
// opening handshake.
#include <gtest/gtest.h>

#include <algorithm>

#include "tests/conformance/both_roles.hpp"
#include "tests/conformance/utf8_sequences.hpp"

namespace epulse::conformance {
namespace {

TEST(Rfc6455_8_1, CloseReasons) {
  for (const Utf8Sequence& sequence : utf8_sequences()) {
    if (sequence.bytes.size() > 123) continue;
    SCOPED_TRACE(sequence.name);
    run_in_both_roles(
        Script().send({close(1000, sequence.bytes)}).closes(sequence.valid ? 1000 : 1007));
  }
}

// The same text in fragments of every size and in single octets: where it is cut does not matter.
TEST(Rfc6455_8_1, TextInFragmentsOfEverySize) {
  for (const Utf8Sequence& sequence : utf8_sequences()) {
    const Frame message = text("x" + sequence.bytes);
    const std::size_t sizes = std::min<std::size_t>(message.payload.size(), 8);
    for (std::size_t size = 1; size <= sizes; ++size) {
      SCOPED_TRACE(sequence.name + " in fragments of " + std::to_string(size));
      Script script;
      script.send(fragments(message, size));
      run_in_both_roles(sequence.valid ? script.expect(message).ends() : script.closes(1007));
    }
  }
}

// "This rule applies both during the opening handshake": what is read as text there is ASCII, so
// any byte beyond is refused, UTF-8 or not.
TEST(Rfc6455_8_1, OpeningHandshake) {
  for (const std::string bytes : {"\xFF", "\xC0\xAF", "\xC3\xA4"}) {
    const std::string line = "GET /" + bytes + " HTTP/1.1";
    EXPECT_EQ(status_of(answer(Server::plain(), {}, line)), 400);
    for (const std::string name :
         {"Sec-WebSocket-Protocol: ", "Sec-WebSocket-Extensions: ", "Na"}) {
      const std::string field = name + bytes + (name == "Na" ? ": x" : "") + "\r\n";
      EXPECT_EQ(status_of(answer(Server::plain(), field)), 400) << field;
    }
  }
}

}  // namespace
}  // namespace epulse::conformance
