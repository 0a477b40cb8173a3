#include "server/ws/handshake.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "server/ws/base64.hpp"
#include "server/ws/client_handshake.hpp"
#include "server/ws/http.hpp"
#include "server/ws/sha1.hpp"

namespace epulse::ws {
namespace {

constexpr std::string_view kKey = "dGhlIHNhbXBsZSBub25jZQ==";

std::string hex(const std::array<std::uint8_t, 20>& digest) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string text;
  for (const std::uint8_t byte : digest) {
    text += kDigits[byte >> 4U];
    text += kDigits[byte & 15U];
  }
  return text;
}

TEST(Sha1, Vectors) {  // RFC 3174, 7.3, and lengths around the block
  EXPECT_EQ(hex(sha1("")), "da39a3ee5e6b4b0d3255bfef95601890afd80709");
  EXPECT_EQ(hex(sha1("abc")), "a9993e364706816aba3e25717850c26c9cd0d89d");
  EXPECT_EQ(hex(sha1("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq")),
            "84983e441c3bd26ebaae4aa1f95129e5e54670f1");
  EXPECT_EQ(hex(sha1(std::string(64, 'a'))), "0098ba824b5c16427bd7a1122a5a442a25ec644d");
  EXPECT_EQ(hex(sha1(std::string(1'000'000, 'a'))), "34aa973cd4c4daa4f61eeb2bdbad27316534016f");
}

TEST(Base64, Vectors) {  // RFC 4648, 10
  const auto encode = [](const auto& bytes) {
    const auto text = base64(bytes);
    return std::string(text.data(), text.size());
  };
  EXPECT_EQ(encode(std::array<std::uint8_t, 1>{'f'}), "Zg==");
  EXPECT_EQ(encode(std::array<std::uint8_t, 2>{'f', 'o'}), "Zm8=");
  EXPECT_EQ(encode(std::array<std::uint8_t, 3>{'f', 'o', 'o'}), "Zm9v");
  EXPECT_EQ(encode(std::array<std::uint8_t, 4>{'f', 'o', 'o', 'b'}), "Zm9vYg==");
}

TEST(Handshake, AcceptVectorOfTheRfc) {  // RFC 6455, 1.3
  const auto accept = accept_key(kKey);
  EXPECT_EQ(std::string(accept.data(), accept.size()), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
}

std::string with(std::string_view line, std::string_view fields) {
  return std::string(line) + "\r\n" + std::string(fields) + "\r\n";
}

const std::string kFields =
    "Host: example.org\r\nUpgrade: websocket\r\nConnection: keep-alive, Upgrade\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n";

std::string without(std::string_view name) {
  std::string fields = kFields;
  const std::size_t start = fields.find(name);
  fields.erase(start, fields.find("\r\n", start) + 2 - start);
  return fields;
}

int status_of(const std::string& text) {
  const RequestHead head = parse_request(text);
  if (head.size == 0) return 0;
  return head.status != 0 ? head.status : check_upgrade(head.request);
}

TEST(Handshake, ARightRequest) {
  const std::string text = with("GET /chat?x=1 HTTP/1.1", kFields + "Origin: http://a.b\r\n");
  const std::string buffer = text + "frames";
  const RequestHead head = parse_request(buffer);
  EXPECT_EQ(head.size, text.size());
  EXPECT_EQ(head.status, 0);
  EXPECT_EQ(head.request.target, "/chat?x=1");
  EXPECT_EQ(head.request.host, "example.org");
  EXPECT_EQ(head.request.key, kKey);
  EXPECT_EQ(head.request.origin, "http://a.b");
  EXPECT_EQ(check_upgrade(head.request), 101);
}

TEST(Handshake, NamesAndTokensInAnyCase) {
  EXPECT_EQ(status_of(with("GET / HTTP/1.1",
                           "hOST:a\r\nUPGRADE: WebSocket\r\nconnection:\tupgrade \r\n"
                           "SEC-WEBSOCKET-KEY: dGhlIHNhbXBsZSBub25jZQ==\r\n"
                           "sec-websocket-version: 13\r\n")),
            101);
}

TEST(Handshake, IncompleteAtEveryByte) {
  const std::string text = with("GET / HTTP/1.1", kFields);
  for (std::size_t size = 0; size < text.size(); ++size) {
    EXPECT_EQ(parse_request(text.substr(0, size)).size, 0U) << size;
  }
}

TEST(Handshake, EachWrongRequestHasItsStatus) {
  const std::string line = "GET / HTTP/1.1";
  const std::vector<std::pair<std::string, int>> cases = {
      {with("GET /", kFields), 400},
      {with("GET  HTTP/1.1", kFields), 400},
      {with("GET / HTTP/1.0", kFields), 400},
      {with("GET / HTTP/2", kFields), 400},
      {with("GET / x HTTP/1.1", kFields), 400},
      {with("GET x HTTP/1.1", kFields), 400},
      {with("GET /#part HTTP/1.1", kFields), 400},
      {with("GET /\x01 HTTP/1.1", kFields), 400},
      {with("G@T / HTTP/1.1", kFields), 400},
      {with(" / HTTP/1.1", kFields), 400},
      {with("POST / HTTP/1.1", kFields), 405},
      {with("HEAD / HTTP/1.1", kFields), 405},
      {with("get / HTTP/1.1", kFields), 405},
      {with(line, without("Host")), 400},
      {with(line, kFields + "Host: second\r\n"), 400},
      {with(line, kFields + "no colon\r\n"), 400},
      {with(line, kFields + "Space : before\r\n"), 400},
      {with(line, kFields + ": no name\r\n"), 400},
      {with(line, kFields + "Folded: one\r\n two\r\n"), 400},
      {with(line, kFields + "Bare: a\nb\r\n"), 400},
      {with(line, kFields + "Bare: a\rb\r\n"), 400},
      {with(line, kFields + std::string("Nul: \0\r\n", 8)), 400},
      {with(line, kFields + "Content-Length: 1\r\n"), 413},
      {with(line, kFields + "Transfer-Encoding: chunked\r\n"), 413},
      {with(line, kFields + "Content-Length: 0\r\n"), 101},
      {with(line, without("Upgrade")), 426},
      {with(line, without("Connection")), 400},
      {with(line, without("Sec-WebSocket-Key")), 400},
      {with(line, without("Sec-WebSocket-Key") + "Sec-WebSocket-Key: short==\r\n"), 400},
      {with(line, without("Sec-WebSocket-Key") + "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQAA\r\n"),
       400},
      {with(line, without("Sec-WebSocket-Key") + "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25j*Q==\r\n"),
       400},
      {with(line, kFields + "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"), 400},
      {with(line, without("Sec-WebSocket-Version")), 400},
      {with(line, without("Sec-WebSocket-Version") + "Sec-WebSocket-Version: 8\r\n"), 426},
      {with(line, kFields + "Long: " + std::string(kMaxHeadBytes, 'x') + "\r\n"), 431},
  };
  for (const auto& [text, status] : cases) EXPECT_EQ(status_of(text), status) << text;
}

TEST(Handshake, TooManyFields) {
  std::string fields = kFields;
  const std::size_t known = 5;
  for (std::size_t i = known; i < kMaxFields; ++i) fields += "A: b\r\n";
  EXPECT_EQ(status_of(with("GET / HTTP/1.1", fields)), 101);
  EXPECT_EQ(status_of(with("GET / HTTP/1.1", fields + "A: b\r\n")), 431);
}

TEST(Handshake, EndlessHeadIsRefusedAtTheLimit) {
  std::string text = "GET / HTTP/1.1\r\nA: ";
  text.resize(kMaxHeadBytes - 1, 'x');
  EXPECT_EQ(status_of(text), 0);
  EXPECT_EQ(status_of(text + "x"), 431);
}

TEST(Handshake, AnswersSayWhatTheRfcDemands) {
  EXPECT_NE(http_response(426, "").find("Sec-WebSocket-Version: 13\r\n"), std::string::npos);
  EXPECT_NE(http_response(405, "").find("Allow: GET\r\n"), std::string::npos);
  EXPECT_TRUE(http_response(503, "later").ends_with("Content-Length: 5\r\n\r\nlater"));
}

std::string response(std::string_view status_line, std::string_view fields) {
  return with(status_line, fields);
}

TEST(ClientHandshake, AcceptsWhatOurServerAnswers) {
  const std::string request = upgrade_request("example.org:80", "/path", kKey);
  const RequestHead head = parse_request(request);
  ASSERT_EQ(head.size, request.size());
  ASSERT_EQ(check_upgrade(head.request), 101);
  const UpgradeResponse answer = upgrade_response(head.request.key);
  const std::string text(answer.view().begin(), answer.view().end());
  for (std::size_t size = 0; size < text.size(); ++size) {
    EXPECT_EQ(check_response(text.substr(0, size), kKey).verdict,
              ResponseHead::Verdict::kIncomplete);
  }
  const ResponseHead verdict = check_response(text + "frames", kKey);
  EXPECT_EQ(verdict.verdict, ResponseHead::Verdict::kAccepted);
  EXPECT_EQ(verdict.size, text.size());
}

TEST(ClientHandshake, RefusesTheRest) {
  const std::string ok = "HTTP/1.1 101 Switching Protocols";
  const std::string upgrade = "Upgrade: websocket\r\n";
  const std::string connection = "Connection: Upgrade\r\n";
  const std::string accept = "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n";
  const std::string wrong = "Sec-WebSocket-Accept: t3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n";
  const std::vector<std::pair<std::string, int>> cases = {
      {response("HTTP/1.1 404 Not Found", ""), 404},
      {response("HTTP/1.1 200 OK", upgrade + connection + accept), 200},
      {response("HTTP/1.0 101 x", upgrade + connection + accept), 0},
      {response("SSH-2.0-server", ""), 0},
      {response(ok, connection + accept), 101},
      {response(ok, upgrade + accept), 101},
      {response(ok, upgrade + connection), 101},
      {response(ok, upgrade + connection + wrong), 101},
      {response(ok, upgrade + connection + accept + "Sec-WebSocket-Extensions: x\r\n"), 101},
      {std::string(kMaxHeadBytes, 'x'), 0},
  };
  for (const auto& [text, status] : cases) {
    const ResponseHead head = check_response(text, kKey);
    EXPECT_EQ(head.verdict, ResponseHead::Verdict::kRefused) << text;
    EXPECT_EQ(head.status, status) << text;
  }
  EXPECT_EQ(check_response(response(ok, upgrade + connection + accept), kKey).verdict,
            ResponseHead::Verdict::kAccepted);
}

TEST(ClientHandshake, KeyIsBase64OfSixteenBytes) {
  EXPECT_EQ(
      make_key({'t', 'h', 'e', ' ', 's', 'a', 'm', 'p', 'l', 'e', ' ', 'n', 'o', 'n', 'c', 'e'}),
      kKey);
}

}  // namespace
}  // namespace epulse::ws
