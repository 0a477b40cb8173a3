// RFC 6455, 4.1: the client's half of the opening handshake.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "server/ws/client_handshake.hpp"
#include "server/ws/handshake.hpp"

namespace epulse::conformance {
namespace {

using Verdict = ws::ResponseHead::Verdict;

constexpr std::string_view kKey = "dGhlIHNhbXBsZSBub25jZQ==";
const std::string kStatus = "HTTP/1.1 101 Switching Protocols\r\n";
const std::string kUpgrade = "Upgrade: websocket\r\n";
const std::string kConnection = "Connection: Upgrade\r\n";
const std::string kAccept = "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n";

Verdict verdict(const std::string& answer, const ws::UpgradeOffer& offer = {}) {
  return ws::check_response(answer + "\r\n", kKey, offer).verdict;
}

Verdict with_fields(const std::string& fields, const ws::UpgradeOffer& offer = {}) {
  return verdict(kStatus + kUpgrade + kConnection + kAccept + fields, offer);
}

// Steps 1 to 10 of the request.
TEST(Rfc6455_4_1, TheRequestIsWhatTheSectionAsksFor) {
  const std::vector<std::string> protocols = {"chat", "v2"};
  const ws::DeflateTerms browser = {false, false, 0, 15};
  const std::string request =
      ws::upgrade_request("example.org:8080", "/chat?x=1", kKey, {protocols, browser});
  EXPECT_TRUE(request.starts_with("GET /chat?x=1 HTTP/1.1\r\n"));
  EXPECT_TRUE(request.ends_with("\r\n\r\n"));
  for (const char* line :
       {"Host: example.org:8080", "Upgrade: websocket", "Connection: Upgrade",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Protocol: chat, v2",
        "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits"}) {
    EXPECT_NE(request.find("\r\n" + std::string(line) + "\r\n"), std::string::npos) << line;
  }
  const ws::RequestHead head = ws::parse_request(request);
  EXPECT_EQ(head.status, 0);
  EXPECT_EQ(ws::check_upgrade(head.request), 101);
}

// 7: "a nonce consisting of a randomly selected 16-byte value that has been base64-encoded".
TEST(Rfc6455_4_1, TheKeyIsSixteenBytes) {
  const std::string key = ws::make_key({1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16});
  EXPECT_EQ(key, "AQIDBAUGBwgJCgsMDQ4PEA==");
}

// "The client MUST validate the server's response as follows", step 1.
TEST(Rfc6455_4_1, OtherStatusesAreNoConnection) {
  const std::string fields = kUpgrade + kConnection + kAccept;
  for (const std::string line :
       {"HTTP/1.1 200 OK\r\n", "HTTP/1.1 301 Moved\r\n", "HTTP/1.1 401 Unauthorized\r\n",
        "HTTP/1.1 426 Upgrade Required\r\n", "HTTP/1.0 101 x\r\n"}) {
    EXPECT_EQ(verdict(line + fields), Verdict::kRefused) << line;
  }
}

// Steps 2 to 4: "the client MUST _Fail the WebSocket Connection_".
TEST(Rfc6455_4_1, FieldsOfTheAnswerThatMustBeThere) {
  EXPECT_EQ(with_fields(""), Verdict::kAccepted);
  const std::string digest = kAccept.substr(0, kAccept.size() - 2);
  const std::vector<std::string> wrong = {
      kConnection + kAccept,
      "Upgrade: websocket2\r\n" + kConnection + kAccept,
      "Upgrade: websocket, h2c\r\n" + kConnection + kAccept,
      "Upgrade:\r\n" + kConnection + kAccept,
      kUpgrade + kAccept,
      kUpgrade + "Connection: close\r\n" + kAccept,
      kUpgrade + "Connection: Upgraded\r\n" + kAccept,
      kUpgrade + kConnection,
      kUpgrade + kConnection + "Sec-WebSocket-Accept:\r\n",
      kUpgrade + kConnection + digest + "=\r\n",
      kUpgrade + kConnection + "Sec-WebSocket-Accept: S3PPLMBITXAQ9KYGZZHZRBK+XOO=\r\n",
      kUpgrade + kConnection + kAccept + kAccept,
      kUpgrade + kUpgrade + kConnection + kAccept};
  for (const std::string& fields : wrong) {
    EXPECT_EQ(verdict(kStatus + fields), Verdict::kRefused) << fields;
  }
}

// "ASCII case-insensitive match"; "ignoring any leading and trailing whitespace"; "all header field
// names [...] are case-insensitive".
TEST(Rfc6455_4_1, CaseAndBlanksOfTheAnswer) {
  EXPECT_EQ(verdict(kStatus + "UPGRADE: WebSocket\r\nconnection: keep-alive, uPGRADE\r\n"
                              "sec-websocket-accept: \t s3pPLMBiTxaQ9kYGzzhZRbK+xOo= \t\r\n"),
            Verdict::kAccepted);
  // The lines of a list are one list.
  EXPECT_EQ(verdict(kStatus + kUpgrade + kConnection + "Connection: keep-alive\r\n" + kAccept),
            Verdict::kAccepted);
}

// Step 5: "an extension that was not present in the client's handshake".
TEST(Rfc6455_4_1, ExtensionsThatWereNotAskedFor) {
  const std::string field = "Sec-WebSocket-Extensions: ";
  EXPECT_EQ(with_fields(field + "permessage-deflate\r\n"), Verdict::kRefused);
  EXPECT_EQ(with_fields(field + "x\r\n", {{}, ws::DeflateTerms{}}), Verdict::kRefused);
  EXPECT_EQ(with_fields(field + "permessage-deflate, x\r\n", {{}, ws::DeflateTerms{}}),
            Verdict::kRefused);
  EXPECT_EQ(with_fields(field + "permessage-deflate\r\n", {{}, ws::DeflateTerms{}}),
            Verdict::kAccepted);
  EXPECT_EQ(with_fields("", {{}, ws::DeflateTerms{}}), Verdict::kAccepted);
}

// Step 6: "a subprotocol that was not present in the client's handshake".
TEST(Rfc6455_4_1, SubprotocolsThatWereNotAskedFor) {
  const std::vector<std::string> chat = {"chat"};
  const std::string field = "Sec-WebSocket-Protocol: ";
  EXPECT_EQ(with_fields(field + "chat\r\n"), Verdict::kRefused);
  EXPECT_EQ(with_fields(field + "CHAT\r\n", {chat, {}}), Verdict::kRefused);
  EXPECT_EQ(with_fields(field + "\r\n", {chat, {}}), Verdict::kRefused);
  EXPECT_EQ(with_fields(field + "chat, v2\r\n", {chat, {}}), Verdict::kRefused);
  EXPECT_EQ(with_fields(field + "chat\r\n", {chat, {}}), Verdict::kAccepted);
  EXPECT_EQ(with_fields("", {chat, {}}), Verdict::kAccepted);
}

// "If the server's response does not conform to the requirements [...] the client MUST _Fail the
// WebSocket Connection_": its grammar, and UTF-8 or what else it may be (8.1).
TEST(Rfc6455_4_1, MalformedAnswers) {
  for (const char* line : {"no colon\r\n", " Folded: x\r\n", "Space : x\r\n", ": x\r\n",
                           "A: \x01\r\n", "\xC3\xA4: x\r\n", "Sec-WebSocket-Extensions: a;\r\n"}) {
    EXPECT_EQ(with_fields(line, {{}, ws::DeflateTerms{}}), Verdict::kRefused) << line;
  }
  EXPECT_EQ(verdict("SSH-2.0-server\r\n"), Verdict::kRefused);
}

}  // namespace
}  // namespace epulse::conformance
