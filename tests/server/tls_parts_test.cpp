// The parts of TLS that are ours alone: the guard of the hello, the gate of early data, the keys of
// tickets.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "server/tls/early_gate.hpp"
#include "server/tls/hello_guard.hpp"
#include "server/tls/ticket_keys.hpp"
#include "tests/server/test_client.hpp"

namespace epulse::tls {
namespace {

using testing::Bytes;
using testing::bytes_of;
using testing::text_of;

// A handshake message that claims `claimed` bytes and has `body` of them.
Bytes message(std::size_t claimed, std::size_t body) {
  Bytes bytes = {1, static_cast<std::uint8_t>(claimed >> 16U),
                 static_cast<std::uint8_t>(claimed >> 8U), static_cast<std::uint8_t>(claimed)};
  bytes.resize(4 + body, 0xee);
  return bytes;
}

// As records of `type` of up to `size` bytes.
Bytes records(std::uint8_t type, const Bytes& content, std::size_t size) {
  Bytes bytes;
  for (std::size_t at = 0; at < content.size(); at += size) {
    const std::size_t n = std::min(size, content.size() - at);
    const Bytes header = {type, 3, 3, static_cast<std::uint8_t>(n >> 8U),
                          static_cast<std::uint8_t>(n)};
    bytes.insert(bytes.end(), header.begin(), header.end());
    bytes.insert(bytes.end(), content.begin() + static_cast<std::ptrdiff_t>(at),
                 content.begin() + static_cast<std::ptrdiff_t>(at + n));
  }
  return bytes;
}

Bytes operator+(Bytes a, const Bytes& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

bool admitted(const Bytes& stream, std::size_t piece) {
  HelloGuard guard;
  for (std::size_t at = 0; at < stream.size(); at += piece) {
    if (!guard.admits(std::span(stream).subspan(at, std::min(piece, stream.size() - at)))) {
      return false;
    }
  }
  return true;
}

TEST(HelloGuard, MeasuresTheFirstTwoMessagesInPiecesOfAnySize) {
  constexpr std::size_t kMost = HelloGuard::kMaxHelloBytes;
  const Bytes good = message(500, 500);
  const Bytes ccs = records(20, {1}, 1);
  for (const std::size_t piece : {1U, 2U, 3U, 5U, 9U, 100U, 100'000U}) {
    for (const std::size_t record : {1U, 3U, 4U, 100U, 16384U}) {
      const auto hello = [&](const Bytes& content) { return records(22, content, record); };
      EXPECT_TRUE(admitted(hello(good), piece));
      EXPECT_TRUE(admitted(hello(message(kMost, 0)), piece));
      EXPECT_FALSE(admitted(hello(message(kMost + 1, 0)), piece));
      EXPECT_FALSE(admitted(hello(message(131'000, 0)), piece));
      // The second, after a HelloRetryRequest.
      EXPECT_TRUE(admitted(hello(good) + ccs + hello(good), piece));
      EXPECT_FALSE(admitted(hello(good) + ccs + hello(message(kMost + 1, 0)), piece));
      // There is no third.
      EXPECT_TRUE(admitted(hello(good + good + message(kMost + 1, 0)), piece));
      // Other records are not handshake.
      EXPECT_TRUE(admitted(hello(good) + records(23, message(kMost + 1, 0), record), piece));
    }
  }
}

TEST(HelloGuard, AHandshakeMustComeToAnEnd) {
  HelloGuard guard;
  const Bytes piece = records(20, {1}, 1);
  std::size_t fed = 0;
  while (guard.admits(piece)) {
    fed += piece.size();
    ASSERT_LE(fed, HelloGuard::kMaxHandshakeBytes + piece.size());
  }
  EXPECT_GT(fed, HelloGuard::kMaxHandshakeBytes - piece.size());
  // What comes with its last piece may be long: it is more than the handshake.
  EXPECT_TRUE(HelloGuard().admits(Bytes(100'000, 0)));
}

// Early data.

struct Admitted {
  std::string early;
  std::string later;
};

Admitted admitted_of(const std::string& early, std::size_t piece) {
  const std::vector<std::string> safe = {"/safe", "/"};
  EarlyGate gate(safe);
  Admitted admitted;
  for (std::size_t at = 0; at < early.size(); at += piece) {
    admitted.early += text_of(gate.admit(bytes_of(early.substr(at, piece))));
  }
  admitted.later = text_of(gate.release());
  return admitted;
}

TEST(EarlyGate, OnlyTheHeadOfASafeRequestPasses) {
  const std::string rest = " HTTP/1.1\r\nHost: x\r\n\r\n";
  const std::string frames = "\x81\x83....";
  for (const std::size_t piece : {1U, 2U, 7U, 1000U}) {
    for (const std::string target : {"/safe", "/safe?token=1", "/", "/?x"}) {
      std::string head = "GET ";
      head += target;
      head += rest;
      const Admitted admitted = admitted_of(head + frames, piece);
      EXPECT_EQ(admitted.early, head) << piece;
      EXPECT_EQ(admitted.later, frames) << piece;
    }
    for (const std::string& text :
         {"GET /other" + rest, "GET /safe/more" + rest, "GET /saf" + rest, "POST /safe" + rest,
          "GET  /safe" + rest, "get /safe" + rest, "\r\n\r\nGET /safe" + rest,
          "GET /safe" + rest.substr(0, 12), std::string("GET\r\n\r\n/safe")}) {
      const Admitted admitted = admitted_of(text + frames, piece);
      EXPECT_EQ(admitted.early, "") << text;
      EXPECT_EQ(admitted.later, text + frames) << text;
    }
  }
}

// Tickets.

TEST(TicketKeys, AKeySealsForOnePeriodAndOpensForAnother) {
  constexpr std::uint64_t kPeriod = TicketKeys::kPeriodS;
  constexpr std::uint64_t kStart = 1009;
  TicketKeys keys;
  const auto first = keys.sealing(kStart);
  ASSERT_TRUE(first);
  EXPECT_EQ(keys.sealing(kStart + kPeriod - 1)->name, first->name);
  const auto second = keys.sealing(kStart + kPeriod);
  EXPECT_NE(second->name, first->name);
  EXPECT_NE(second->cipher, first->cipher);
  EXPECT_NE(second->mac, first->mac);
  const auto opened = keys.opening(first->name, kStart + 2 * kPeriod - 1);
  ASSERT_TRUE(opened);
  EXPECT_EQ(opened->cipher, first->cipher);
  EXPECT_FALSE(keys.opening(first->name, kStart + 2 * kPeriod));
  EXPECT_TRUE(keys.opening(second->name, kStart + 2 * kPeriod));
  keys.sealing(kStart + 2 * kPeriod);
  EXPECT_FALSE(keys.opening(first->name, kStart + kPeriod));  // Forgotten.
}

TEST(TicketKeys, NoNameOpensNothing) {
  TicketKeys keys;
  const std::array<std::uint8_t, kTicketNameBytes> name{};
  EXPECT_FALSE(keys.opening(name, 0));
  const auto key = keys.sealing(0);
  EXPECT_FALSE(keys.opening(std::span(key->name).first(15), 0));
  EXPECT_FALSE(keys.opening({}, 0));
}

}  // namespace
}  // namespace epulse::tls
