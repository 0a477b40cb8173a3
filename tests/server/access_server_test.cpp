// Who may connect, how long, and what the program tells of itself, over real sockets.
#include <gtest/gtest.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <ctime>
#include <fstream>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "server/access/token.hpp"
#include "tests/server/child.hpp"
#include "tests/server/test_client.hpp"

namespace epulse::testing {
namespace {

using server::issue_token;
using Kind = ws::Event::Kind;

constexpr std::string_view kKey = "a key that only tests know";

class TemporaryFile {
 public:
  explicit TemporaryFile(std::string_view text) {
    char name[] = "/tmp/epulse-test-XXXXXX";
    const int fd = mkstemp(name);
    path_ = name;
    std::ofstream(path_) << text;
    ::close(fd);
  }
  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;
  ~TemporaryFile() { unlink(path_.c_str()); }

  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

std::string ask(int port, const std::string& fields = "", const std::string& target = "/") {
  return TestClient(port).request(
      "GET " + target +
      " HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
      "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n" +
      fields + "\r\n");
}

std::string get(int port, const std::string& path) {
  return TestClient(port).request("GET " + path + " HTTP/1.1\r\nHost: x\r\n\r\n");
}

bool has(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

std::uint64_t now_s() {
  return static_cast<std::uint64_t>(std::time(nullptr));
}

// Asks until the answer begins with `status`: the server hears of an end a moment later.
bool eventually_answers(int port, std::string_view status) {
  return eventually([&] { return has(ask(port), status); });
}

TEST(Access, OriginsThatAreNotNamedAreForbidden) {
  ServerChild server({"--origin", "https://example.org", "--origin", "http://localhost:8080"});
  for (const char* origin :
       {"https://example.org", "HTTPS://EXAMPLE.org", "http://localhost:8080"}) {
    EXPECT_TRUE(has(ask(server.port(), "Origin: " + std::string(origin) + "\r\n"), " 101 "))
        << origin;
  }
  for (const char* origin : {"http://example.org", "https://example.org:444", "null", "",
                             "https://example.org.evil.net", "https://example.or"}) {
    const std::string answer = ask(server.port(), "Origin: " + std::string(origin) + "\r\n");
    EXPECT_TRUE(answer.starts_with("HTTP/1.1 403 Forbidden\r\n")) << origin;
    EXPECT_TRUE(answer.ends_with("\r\n\r\nForbidden: this origin may not connect\n")) << answer;
  }
  EXPECT_TRUE(has(ask(server.port()), " 101 "));  // no browser
  EXPECT_TRUE(has(ask(server.port(), "Origin: a\r\nOrigin: b\r\n"), " 400 "));
}

TEST(Access, WithoutAValidTokenNobodyIsServed) {
  const TemporaryFile key(std::string(kKey) + "\n");
  ServerChild server({"--token-key-file", key.path()});
  const std::string good = issue_token("alice", now_s() + 60, kKey);
  EXPECT_TRUE(has(ask(server.port(), "Authorization: Bearer " + good + "\r\n"), " 101 "));
  EXPECT_TRUE(has(ask(server.port(), "", "/?token=" + good), " 101 "));
  EXPECT_TRUE(has(ask(server.port(), "", "/topic/a?x=1&token=" + good), " 101 "));

  const std::string old = issue_token("alice", now_s() - 1, kKey);
  const std::string forged = issue_token("alice", now_s() + 60, "another key of the right length");
  for (const std::string& token : {old, forged, good + "x", std::string("x")}) {
    const std::string answer = ask(server.port(), "Authorization: Bearer " + token + "\r\n");
    EXPECT_TRUE(answer.starts_with("HTTP/1.1 401 Unauthorized\r\n")) << token;
    EXPECT_TRUE(has(answer, "\r\nWWW-Authenticate: Bearer\r\n")) << answer;
  }
  EXPECT_TRUE(has(ask(server.port(), "Authorization: Bearer " + old + "\r\n"), "expired"));
  EXPECT_TRUE(has(ask(server.port()), " 401 "));
  EXPECT_TRUE(has(get(server.port(), "/healthz"), " 200 "));
}

TEST(Access, AKeyFileThatWillNotDoIsNamed) {
  const TemporaryFile brief("short\n");
  for (const std::string& path : {brief.path(), std::string("/nowhere/key"), std::string("/")}) {
    Child server({EPULSE_WS_PATH, "--listen", "127.0.0.1:0", "--token-key-file", path});
    EXPECT_EQ(server.wait(), 2);
    EXPECT_TRUE(has(server.err(), path)) << server.err();
  }
}

TEST(Access, AnAddressHasSoManyConnectionsAndNoMore) {
  ServerChild server({"--max-per-address", "2", "--workers", "2"});
  {
    TestClient first = TestClient::open(server.port());
    TestClient second = TestClient::open(server.port());
    const std::string answer = ask(server.port());
    EXPECT_TRUE(answer.starts_with("HTTP/1.1 429 Too Many Requests\r\n")) << answer;
    EXPECT_TRUE(has(answer, "\r\nRetry-After: 1\r\n"));
    first.send(ws::Opcode::kText, "still served");
    EXPECT_EQ(text_of(first.receive().payload), "still served");
  }
  EXPECT_TRUE(eventually_answers(server.port(), " 101 "));
}

TEST(Access, AnAddressConnectsSoOftenAndNoMore) {
  ServerChild server({"--connect-rate", "2"});
  int served = 0;
  for (int i = 0; i < 20; ++i) served += has(ask(server.port()), " 101 ") ? 1 : 0;
  EXPECT_GE(served, 4);  // the burst
  EXPECT_LT(served, 20);
  EXPECT_TRUE(eventually_answers(server.port(), " 101 "));
}

TEST(Time, AConnectionLivesSoLongAndNoLonger) {
  ServerChild server({"--max-lifetime", "0.5"});
  TestClient client = TestClient::open(server.port());
  client.send(ws::Opcode::kText, "busy");
  EXPECT_EQ(client.receive().kind, Kind::kMessage);
  const Received last = client.receive();
  EXPECT_EQ(last.kind, Kind::kClose);
  EXPECT_EQ(last.code, ws::CloseCode::kGoingAway);
  EXPECT_TRUE(client.ended());
}

TEST(Time, WhoIsSilentIsPingedAndWhoAnswersStays) {
  ServerChild server({"--idle-timeout", "1"});
  TestClient quick = TestClient::open(server.port());
  TestClient dead = TestClient::open(server.port());
  for (int i = 0; i < 4; ++i) {
    EXPECT_EQ(quick.receive().kind, Kind::kPing);
    quick.send(ws::Opcode::kPong, "");
  }
  EXPECT_EQ(dead.receive().kind, Kind::kPing);
  EXPECT_EQ(dead.receive().kind, Kind::kNeedMore);  // and no second one: the end
  quick.send(ws::Opcode::kText, "here");
  EXPECT_EQ(text_of(quick.receive().payload), "here");
}

TEST(Config, AFileSaysWhatFlagsSay) {
  const TemporaryFile file("max-connections = 1\nsubprotocol = [\"chat\", \"mqtt\"]\n");
  ServerChild server({"--config", file.path()});
  const std::vector<std::string> wanted = {"mqtt"};
  TestClient client = TestClient::open(server.port(), "/", 0, {wanted, {}});
  EXPECT_EQ(client.subprotocol(), "mqtt");
  EXPECT_TRUE(has(ask(server.port()), " 503 "));
}

TEST(Config, WhatItGetsWrongIsNamed) {
  const TemporaryFile unknown("max-conections = 1\n");
  const TemporaryFile wrong("max-connections = \"many\"\n");
  for (const TemporaryFile* file : {&unknown, &wrong}) {
    Child server({EPULSE_WS_PATH, "--listen", "127.0.0.1:0", "--config", file->path()});
    EXPECT_EQ(server.wait(), 2);
    EXPECT_TRUE(has(server.err(), "max-con")) << server.err();
  }
}

// The exposition format of Prometheus: every sample has its type, histograms add up.
TEST(Metrics, AreWhatHappened) {
  ServerChild server;
  TestClient client = TestClient::open(server.port());
  for (int i = 0; i < 7; ++i) {
    client.send(ws::Opcode::kText, "x");
    client.receive();
  }
  const std::string text = get(server.port(), "/metrics");
  EXPECT_TRUE(has(text, "\r\nContent-Type: text/plain")) << text;
  std::uint64_t messages = 0;
  std::uint64_t handshakes = 0;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    const std::size_t space = line.rfind(' ');
    if (line.starts_with("epulse_ws_messages_received_total")) {
      messages += std::stoull(line.substr(space));
    }
    if (line.starts_with("epulse_ws_handshake_duration_seconds_count")) {
      handshakes += std::stoull(line.substr(space));
    }
  }
  EXPECT_EQ(messages, 7U) << text;
  EXPECT_EQ(handshakes, 1U) << text;
}

}  // namespace
}  // namespace epulse::testing
