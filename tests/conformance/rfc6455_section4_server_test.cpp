// RFC 6455, 4.2 to 4.4: the server's half of the opening handshake, by requests to epulse-ws.
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "tests/conformance/server_endpoint.hpp"

namespace epulse::conformance {
namespace {

std::string replaced(const std::string& name, const std::string& value) {
  return fields_without(name) + name + ": " + value + "\r\n";
}

bool has_line(const std::string& answer, const std::string& line) {
  return answer.find("\r\n" + line + "\r\n") != std::string::npos;
}

bool has_field(const std::string& answer, const std::string& name) {
  return answer.find("\r\n" + name + ":") != std::string::npos;
}

int status(const std::string& line, const std::string& fields) {
  return status_of(answer_exactly(Server::plain(), line, fields));
}

const std::string kGet = "GET / HTTP/1.1";

// "the server MUST stop processing the client's handshake and return an HTTP response with an
// appropriate error code": part 1, the request line.
TEST(Rfc6455_4_2_1, RequestLine) {
  for (const auto& [line, expected] :
       std::vector<std::pair<std::string, int>>{{"GET / HTTP/1.1", 101},
                                                {"GET /path?query=%23 HTTP/1.1", 101},
                                                {"POST / HTTP/1.1", 405},
                                                {"HEAD / HTTP/1.1", 405},
                                                {"get / HTTP/1.1", 405},
                                                {"GET / HTTP/1.0", 400},
                                                {"GET / HTTP/0.9", 400},
                                                {"GET / HTTP/2.0", 400},
                                                {"GET / http/1.1", 400},
                                                {"GET /", 400},
                                                {"GET  / HTTP/1.1", 400},
                                                {"GET /a b HTTP/1.1", 400},
                                                {"GET a HTTP/1.1", 400},
                                                {"GET * HTTP/1.1", 400},
                                                {"GET /#fragment HTTP/1.1", 400}}) {
    EXPECT_EQ(status(line, necessary_fields()), expected) << line;
  }
}

// 1: "An HTTP/1.1 or higher GET request", of which only versions 1.x look like one.
TEST(Rfc6455_4_2_1, HigherVersionsOfHttp1) {
  EXPECT_EQ(status("GET / HTTP/1.2", necessary_fields()), 101);
  EXPECT_EQ(status("GET / HTTP/1.9", necessary_fields()), 101);
  EXPECT_EQ(status("GET / HTTP/1.", necessary_fields()), 400);
  EXPECT_EQ(status("GET / HTTP/1.10", necessary_fields()), 400);
}

// 1: "or an absolute HTTP/HTTPS URI containing the /resource name/".
TEST(Rfc6455_4_2_1, AbsoluteUris) {
  for (const auto& [target, expected] : std::vector<std::pair<std::string, int>>{
           {"http://localhost/", 101},
           {"HTTPS://localhost:443/chat?x=1", 101},
           {"http://localhost", 101},
           {"http://localhost?x=1", 400},  // the one form that is not served
           {"http://localhost/topic/news", 101},
           {"http://localhost/topic/a/b", 404},
           {"ws://localhost/", 400},
           {"http:///", 400},
           {"http://", 400},
           {"http://localhost/#part", 400}}) {
    EXPECT_EQ(status("GET " + target + " HTTP/1.1", necessary_fields()), expected) << target;
  }
}

// Parts 2 to 6: each field that must be there, missing, wrong and twice.
TEST(Rfc6455_4_2_1, NecessaryFields) {
  for (const auto& [fields, expected] : std::vector<std::pair<std::string, int>>{
           {fields_without("Host"), 400},
           {fields_without("Upgrade"), 426},
           {replaced("Upgrade", "h2c"), 426},
           {replaced("Upgrade", "websocket2"), 426},
           {fields_without("Connection"), 400},
           {replaced("Connection", "keep-alive"), 400},
           {replaced("Connection", "Upgraded"), 400},
           {fields_without("Sec-WebSocket-Key"), 400},
           {replaced("Sec-WebSocket-Key", ""), 400},
           {replaced("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25j"), 400},      // 15 bytes
           {replaced("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZWE="), 400},  // 17 bytes
           {replaced("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ"), 400},    // no padding
           {replaced("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25j-Q=="), 400},  // no base64
           {replaced("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ== x"), 400},
           {fields_without("Sec-WebSocket-Version"), 400},
           {necessary_fields() + "Host: other\r\n", 400},
           {necessary_fields() + "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n", 400},
           {necessary_fields() + "Sec-WebSocket-Version: 13\r\n", 400}}) {
    EXPECT_EQ(status(kGet, fields), expected) << fields;
  }
}

// 3 and 4: "treated as an ASCII case-insensitive value"; "the order of the header fields is not
// important"; 10: "Unknown header fields are ignored".
TEST(Rfc6455_4_2_1, CaseOrderAndUnknownFields) {
  EXPECT_EQ(status(kGet,
                   "sec-websocket-VERSION:13\r\nX-Unknown: \"a\", b;c\r\n"
                   "SEC-WEBSOCKET-KEY:   dGhlIHNhbXBsZSBub25jZQ==  \r\nCookie: a=b; c=d\r\n"
                   "connection: keep-alive,\tuPGRADE\r\nupgrade: WebSocket\r\nHOST: x\r\n"),
            101);
  EXPECT_EQ(status(kGet, replaced("Upgrade", "h2c, websocket")), 101);
  std::string field_twice = replaced("Connection", "keep-alive") + "Connection: Upgrade\r\n";
  EXPECT_EQ(status(kGet, field_twice), 101);  // Its lines are one list (RFC 2616, 4.2).
}

// "any violations of the ABNF grammar specified for the components of the handshake": 4.3 and 9.1.
TEST(Rfc6455_4_2_1, GrammarOfLists) {
  for (const std::string value : {"", ",", " , ", "a;", "a;;b", "a; b=", "a; =b", "a b", "a; b=\"c",
                                  "a; b=\"c d\"", "a; b=\"\"", "a=b", "\"a\"", "a,;b", "a/b",
                                  "permessage-deflate; client_max_window_bits="}) {
    EXPECT_EQ(status(kGet, necessary_fields() + "Sec-WebSocket-Extensions: " + value + "\r\n"), 400)
        << value;
  }
  for (const std::string value : {"", ",", "a b", "a;b", "\"a\"", "a/b", "a, a", "a,b,\xC3\xA4"}) {
    EXPECT_EQ(status(kGet, necessary_fields() + "Sec-WebSocket-Protocol: " + value + "\r\n"), 400)
        << value;
  }
}

// What follows a refused handshake is no frame and no second request.
TEST(Rfc6455_4_2_1, NothingIsProcessedAfterARefusal) {
  const std::string late = text_of(wire(ping("late"), Role::kServer));
  const std::string one = answer_exactly(
      Server::plain(), kGet,
      fields_without("Host") + "\r\n" + late + "GET / HTTP/1.1\r\n" + necessary_fields());
  EXPECT_EQ(status_of(one), 400);
  EXPECT_EQ(one.find("HTTP/1.1", 1), std::string::npos);
  EXPECT_TRUE(has_line(one, "Connection: close"));
}

// /origin/: "it MUST return an appropriate HTTP error code (e.g., 403 Forbidden)".
TEST(Rfc6455_4_2_2, OriginsThatAreNotWanted) {
  Server& server = Server::with({"--origin", "https://example.org"});
  EXPECT_EQ(status_of(answer(server, "Origin: https://example.org\r\n")), 101);
  EXPECT_EQ(status_of(answer(server, "Origin: https://example.com\r\n")), 403);
  EXPECT_EQ(status_of(answer(server, "Origin: null\r\n")), 403);
}

// /version/: "MUST abort the WebSocket handshake [...] and instead send an appropriate HTTP error
// code (such as 426 Upgrade Required) and a |Sec-WebSocket-Version| header field". 4.4 says so
// again.
TEST(Rfc6455_4_2_2, VersionsThatAreNotUnderstood) {
  for (const char* version :
       {"0", "7", "8", "12", "14", "25", "255", "013", "+13", "13.0", "13, 8", "x", ""}) {
    const std::string refusal =
        answer_exactly(Server::plain(), kGet, replaced("Sec-WebSocket-Version", version));
    EXPECT_EQ(status_of(refusal), 426) << version;
    EXPECT_TRUE(has_line(refusal, "Sec-WebSocket-Version: 13")) << refusal;
  }
}

// /resource name/: "If the requested service is not available, the server MUST send an appropriate
// HTTP error code (such as 404 Not Found)".
TEST(Rfc6455_4_2_2, ServicesThatAreNotThere) {
  for (const char* path : {"/topic/", "/topic/a/b", "/topic/a%20b"}) {
    EXPECT_EQ(status(std::string("GET ") + path + " HTTP/1.1", necessary_fields()), 404) << path;
  }
}

// /subprotocol/: "MUST be derived from the client's handshake"; "if the server does not wish to
// agree to one of the suggested subprotocols, it MUST NOT send back" the field.
TEST(Rfc6455_4_2_2, Subprotocols) {
  Server& server = Server::with({"--subprotocol", "chat", "--subprotocol", "v2"});
  const std::string name = "Sec-WebSocket-Protocol";
  EXPECT_TRUE(has_line(answer(server, name + ": x, v2, chat\r\n"), name + ": v2"));
  EXPECT_TRUE(has_line(answer(server, name + ": x\r\n" + name + ": chat\r\n"), name + ": chat"));
  for (const std::string& fields : {std::string(), name + ": x\r\n", name + ": CHAT\r\n"}) {
    const std::string accepted = answer(server, fields);
    EXPECT_EQ(status_of(accepted), 101);
    EXPECT_FALSE(has_field(accepted, name)) << accepted;
  }
  EXPECT_FALSE(has_field(answer(Server::plain(), name + ": chat\r\n"), name));
}

// /extensions/: "Extensions not listed by the client MUST NOT be listed".
TEST(Rfc6455_4_2_2, ExtensionsThatWereNotListed) {
  Server& server = Server::with({"--compression", "shared", "--compression-min-bytes", "0"});
  const std::string name = "Sec-WebSocket-Extensions";
  for (const std::string& fields : {std::string(), name + ": x-webkit-deflate-frame\r\n",
                                    name + ": permessage-deflate2, foo\r\n"}) {
    const std::string accepted = answer(server, fields);
    EXPECT_EQ(status_of(accepted), 101);
    EXPECT_FALSE(has_field(accepted, name)) << accepted;
  }
}

// 5: "it MUST reply with a valid HTTP response": status line, Upgrade, Connection and the digest of
// the key, and no body that a frame could be taken for.
TEST(Rfc6455_4_2_2, TheAnswerThatAccepts) {
  const std::string accepted = answer(Server::plain(), {});
  EXPECT_TRUE(accepted.starts_with("HTTP/1.1 101 Switching Protocols\r\n"));
  EXPECT_TRUE(has_line(accepted, "Upgrade: websocket"));
  EXPECT_TRUE(has_line(accepted, "Connection: Upgrade"));
  EXPECT_TRUE(has_line(accepted, "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
  EXPECT_FALSE(has_field(accepted, "Content-Length"));
  EXPECT_EQ(std::count(accepted.begin(), accepted.end(), '\n'), 5);
  // Another key, whose digest openssl made.
  EXPECT_TRUE(has_line(answer_exactly(Server::plain(), kGet,
                                      replaced("Sec-WebSocket-Key", "AQIDBAUGBwgJCgsMDQ4PEA==")),
                       "Sec-WebSocket-Accept: C/0nmHhBztSRGR1CwL6Tf4ZjwpY="));
}

}  // namespace
}  // namespace epulse::conformance
