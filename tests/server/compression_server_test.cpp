// permessage-deflate and sub-protocols of the real program, over real sockets.
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "tests/server/child.hpp"
#include "tests/server/deflate_end.hpp"
#include "tests/server/test_client.hpp"

namespace epulse::testing {
namespace {

using Kind = ws::Event::Kind;
using ws::CloseCode;
using ws::DeflateTerms;
using ws::Opcode;

const DeflateTerms kBrowser = {false, false, 0, 15};

TestClient open(const ServerChild& server, const DeflateTerms& offer = kBrowser,
                std::string_view path = "/") {
  return TestClient::open(server.port(), path, 0, {{}, offer});
}

// What the server answers to a request with these fields more.
std::string answer(const ServerChild& server, const std::string& fields) {
  return TestClient(server.port())
      .request(
          "GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
          "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n" +
          fields + "\r\n");
}

void expect_echo(TestClient& client, Opcode opcode, const Bytes& message) {
  client.send_message(opcode, message);
  const Received received = client.receive();
  ASSERT_EQ(received.kind, Kind::kMessage);
  EXPECT_EQ(received.opcode, opcode);
  EXPECT_TRUE(received.payload == message);
}

// Bytes on the wire that the echo takes.
std::size_t echo_bytes(TestClient& client, const Bytes& message) {
  const std::size_t before = client.bytes_in();
  expect_echo(client, Opcode::kText, message);
  return client.bytes_in() - before;
}

std::vector<std::string> with(const std::string& mode, std::vector<std::string> more = {}) {
  more.insert(more.begin(), {"--compression", mode});
  return more;
}

TEST(Compression, IsOffUnlessAskedFor) {
  const ServerChild server;
  TestClient client = open(server);
  EXPECT_FALSE(client.deflate());
  client.send_raw(client_frame(Opcode::kText, Bytes{0x00}, true, true));
  expect_close(client, CloseCode::kProtocolError);
}

TEST(Compression, SharedForbidsContextsAndSavesBytes) {
  const ServerChild server(with("shared"));
  TestClient client = open(server);
  EXPECT_EQ(client.deflate(), (DeflateTerms{true, true, 0, 15}));
  const Bytes text = json_text(10'000, 1);
  const std::size_t first = echo_bytes(client, text);
  EXPECT_LT(first, text.size() / 2);
  EXPECT_EQ(echo_bytes(client, text), first);
}

TEST(Compression, DedicatedRemembers) {
  const ServerChild server(with("dedicated"));
  TestClient client = open(server);
  EXPECT_EQ(client.deflate(), (DeflateTerms{false, false, 12, 12}));
  const Bytes text = json_text(1000, 1);
  const std::size_t first = echo_bytes(client, text);
  EXPECT_LT(echo_bytes(client, text), first / 3);
}

TEST(Compression, OptionsOfDedicatedCompressors) {
  const ServerChild server(
      with("dedicated", {"--compression-window-bits", "9", "--compression-mem-level", "1",
                         "--compression-level", "9"}));
  TestClient client = open(server);
  EXPECT_EQ(client.deflate(), (DeflateTerms{false, false, 9, 9}));
  for (std::size_t i = 0; i < 20; ++i) expect_echo(client, Opcode::kText, json_text(3000, i));
}

TEST(Compression, ShortMessagesGoOutAsTheyAre) {
  const ServerChild server(with("shared", {"--compression-min-bytes", "1000"}));
  TestClient client = open(server);
  EXPECT_EQ(echo_bytes(client, json_text(999, 1)), 999U + 4);
  EXPECT_LT(echo_bytes(client, json_text(1000, 1)), 900U);
}

TEST(Compression, SizesAndKindsWithEachMode) {
  for (const char* mode : {"shared", "dedicated"}) {
    const ServerChild server(with(mode, {"--compression-min-bytes", "0"}));
    for (const DeflateTerms& offer : {kBrowser, DeflateTerms{}, DeflateTerms{true, true, 9, 9},
                                      DeflateTerms{false, false, 10, 0}}) {
      TestClient client = open(server, offer);
      ASSERT_TRUE(client.deflate());
      for (const std::size_t size : {0U, 1U, 125U, 126U, 65535U, 65536U, 1U << 20U}) {
        expect_echo(client, Opcode::kText, json_text(size, 3));
        expect_echo(client, Opcode::kBinary, random_bytes(size, 3));
      }
    }
  }
}

TEST(Compression, BreachesAreAnsweredWithTheirCodes) {
  const ServerChild server(with("shared", {"--max-message", "100000"}));
  ws::Compression compression({});
  const auto no_utf8 = compression.deflate(bytes_of("\xC0\x80"), 15);
  const std::vector<std::pair<Bytes, CloseCode>> breaches = {
      {client_frame(Opcode::kBinary, Bytes{0x06}, true, true), CloseCode::kInvalidPayload},
      {client_frame(Opcode::kText, no_utf8, true, true), CloseCode::kInvalidPayload},
      {client_frame(Opcode::kPing, Bytes{}, true, true), CloseCode::kProtocolError},
  };
  for (const auto& [bytes, code] : breaches) {
    TestClient client = open(server);
    client.send_raw(bytes);
    expect_close(client, code);
  }
}

std::size_t resident_kb(pid_t pid) {
  std::ifstream status("/proc/" + std::to_string(pid) + "/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with("VmHWM:")) return std::stoul(line.substr(6));
  }
  return 0;
}

TEST(Compression, ABombIsAnswered1009AndNotInflated) {
  ServerChild server(with("shared", {"--workers", "1", "--max-message", "100000"}));
  ws::Compression compression({});
  const Bytes zeros(100'000'000);
  const auto bomb = compression.deflate(zeros, 15);
  const std::size_t before = resident_kb(server.child().pid());
  for (int i = 0; i < 10; ++i) {
    TestClient client = open(server);
    // In fragments, since one as large as all of it is refused for its length.
    client.send_raw(client_frame(Opcode::kBinary, bomb.first(100'000), false, true));
    expect_close(client, CloseCode::kTooBig);
  }
  EXPECT_LT(resident_kb(server.child().pid()), before + 4000);
}

TEST(Compression, UnfinishedMessagesOfAllConnectionsAreCapped) {
  const ServerChild server(
      with("shared", {"--workers", "1", "--max-message", "50000", "--inflating-cap", "100000"}));
  const Bytes start = client_frame(Opcode::kText, Bytes{0xf2, 0x48, 0xcd}, false, true);
  const Bytes end = client_frame(Opcode::kContinuation, Bytes{0xc9, 0xc9, 0x07, 0x00}, true);
  std::vector<TestClient> clients;
  clients.reserve(3);
  for (int i = 0; i < 3; ++i) {
    clients.push_back(open(server));
    clients.back().send_raw(start);
    // Its pong tells that the start was read.
    clients.back().send(Opcode::kPing, "");
    if (i < 2) {
      ASSERT_EQ(clients.back().receive().kind, Kind::kPong);
    }
  }
  expect_close(clients[2], CloseCode::kTryAgainLater);
  for (int i = 0; i < 2; ++i) {
    clients[static_cast<std::size_t>(i)].send_raw(end);
    EXPECT_EQ(text_of(clients[static_cast<std::size_t>(i)].receive().payload), "Hello");
  }
  TestClient late = open(server);
  late.send_raw(start);
  late.send_raw(end);
  EXPECT_EQ(text_of(late.receive().payload), "Hello");
}

// Subscribers of every kind, on both workers, get the same.
void expect_everyone_hears(const ServerChild& server) {
  std::vector<TestClient> clients;
  for (int i = 0; i < 4; ++i) {
    clients.push_back(TestClient::open(server.port(), "/topic/t"));
    for (const DeflateTerms& offer : {kBrowser, DeflateTerms{}, DeflateTerms{true, true, 9, 0},
                                      DeflateTerms{false, false, 11, 9}}) {
      clients.push_back(open(server, offer, "/topic/t"));
    }
  }
  constexpr std::size_t kRounds = 41;
  for (std::size_t i = 0; i < kRounds; ++i) {
    const Bytes text = json_text(10 + i * i * 10, i);
    clients[i % clients.size()].send_message(Opcode::kText, text);
    for (TestClient& client : clients) {
      const Received received = client.receive();
      ASSERT_EQ(received.kind, Kind::kMessage) << i;
      ASSERT_TRUE(received.payload == text) << i;
    }
  }
  const std::size_t plain = clients[0].bytes_in();
  for (std::size_t i = 0; i < clients.size(); ++i) {
    if (i % 5 == 0) continue;
    EXPECT_LT(clients[i].bytes_in(), plain / 2) << i;
  }
}

TEST(Compression, TopicsReachSubscribersWithAndWithoutCompression) {
  expect_everyone_hears(ServerChild(with("shared", {"--workers", "2"})));
  expect_everyone_hears(ServerChild(with("dedicated", {"--workers", "2"})));
}

// RFC 6455, 9.1, and RFC 7692, 7.
TEST(Negotiation, MalformedOffersAre400AndUnacceptableOnesDeclined) {
  const ServerChild server(with("shared"));
  const std::string field = "Sec-WebSocket-Extensions: ";
  EXPECT_TRUE(answer(server, field + "permessage-deflate;\r\n").starts_with("HTTP/1.1 400 "));
  EXPECT_TRUE(answer(server, "Sec-WebSocket-Protocol: a;b\r\n").starts_with("HTTP/1.1 400 "));
  const std::string declined = answer(server, field + "x-other, permessage-deflate; x=1\r\n");
  EXPECT_TRUE(declined.starts_with("HTTP/1.1 101 "));
  EXPECT_EQ(declined.find("Extensions"), std::string::npos);
  const std::string second =
      answer(server, field + "permessage-deflate; x\r\n" + field + "permessage-deflate\r\n");
  EXPECT_NE(second.find("\r\nSec-WebSocket-Extensions: permessage-deflate; "
                        "server_no_context_takeover; client_no_context_takeover\r\n"),
            std::string::npos);
}

TEST(Negotiation, SubprotocolsOfTheServer) {
  const ServerChild server({"--subprotocol", "v1.chat", "--subprotocol", "v2.chat"});
  const std::vector<std::string> both = {"v2.chat", "v1.chat"};
  const std::vector<std::string> other = {"v3.chat"};
  EXPECT_EQ(TestClient::open(server.port(), "/", 0, {both, {}}).subprotocol(), "v2.chat");
  EXPECT_EQ(TestClient::open(server.port(), "/", 0, {other, {}}).subprotocol(), "");
  EXPECT_EQ(TestClient::open(server.port()).subprotocol(), "");
  EXPECT_EQ(answer(server, "Sec-WebSocket-Protocol: v3.chat\r\n").find("Protocol:"),
            std::string::npos);
}

TEST(Negotiation, WrongWordsAreToldTheRightOnes) {
  Child child({EPULSE_WS_PATH, "--compression", "yes"});
  EXPECT_EQ(child.wait(), 2);
  EXPECT_NE(child.err().find("--compression: yes not in {off,shared,dedicated}"), std::string::npos)
      << child.err();
}

TEST(Negotiation, WrongOptionsAreOneLineAndStatus2) {
  for (const std::vector<std::string>& options : {std::vector<std::string>{"--compression", "yes"},
                                                  {"--compression-window-bits", "8"},
                                                  {"--compression-window-bits", "16"},
                                                  {"--compression-mem-level", "0"},
                                                  {"--subprotocol", "two words"},
                                                  {"--subprotocol", std::string(65, 'x')}}) {
    std::vector<std::string> command = {EPULSE_WS_PATH};
    command.insert(command.end(), options.begin(), options.end());
    Child child(command);
    EXPECT_EQ(child.wait(), 2);
    EXPECT_EQ(std::count(child.err().begin(), child.err().end(), '\n'), 1) << child.err();
  }
}

}  // namespace
}  // namespace epulse::testing
