// TLS between an engine and a handler: who is told what, in which order, in how many records.
#include "server/tls/tls_engine.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "tests/server/tls_testing.hpp"

namespace epulse::server {
namespace {

using testing::bytes_of;
using testing::IdentityFiles;
using testing::MemoryClient;
using testing::text_of;

// An engine that keeps what is sent.
class Transport final : public Engine {
 public:
  void run() override {}
  void stop() override {}
  void stop_accepting() override {}
  std::uint64_t now_ns() const override { return now; }

  void send(ConnId id, std::span<const Part> parts) override {
    if (finished[id.slot]) return;
    for (const Part part : parts) {
      sent[id.slot].insert(sent[id.slot].end(), part.begin(), part.end());
    }
    ++sends;
  }
  void send_shared(ConnId id, SharedBytes bytes) override {
    const Part part(*bytes);
    send(id, {&part, 1});
  }
  std::size_t queued_bytes(ConnId id) const override {
    const auto found = sent.find(id.slot);
    return found == sent.end() ? 0 : found->second.size();
  }
  std::size_t unacknowledged_bytes(ConnId id) override { return queued_bytes(id) + in_kernel; }
  bool blocked(ConnId id) const override { return blocked_conns.contains(id.slot); }
  Address peer_address(ConnId /*id*/) override { return {}; }
  void deliver(ConnId /*id*/, std::span<std::uint8_t> /*input*/) override {}
  void pause_reading(ConnId /*id*/) override { paused = true; }
  void resume_reading(ConnId /*id*/) override { paused = false; }
  void finish(ConnId id) override { finished[id.slot] = true; }
  void abort(ConnId id) override { aborted[id.slot] = true; }

  std::map<std::uint32_t, Bytes> sent;
  std::map<std::uint32_t, bool> finished;
  std::map<std::uint32_t, bool> aborted;
  std::set<std::uint32_t> blocked_conns;
  std::uint64_t now = 1'000'000'000;
  std::size_t in_kernel = 1000;
  int sends = 0;
  bool paused = false;
};

class Application final : public Handler {
 public:
  void on_accept(ConnId conn) override { log += "accept " + std::to_string(conn.slot) + '\n'; }
  void on_data(ConnId conn, std::span<std::uint8_t> input) override {
    data += text_of(input);
    if (on_input) on_input(conn, text_of(input));
  }
  void on_drained(ConnId /*conn*/) override { log += "drained\n"; }
  void on_closed(ConnId conn, CloseReason reason) override {
    log += "closed " + std::to_string(conn.slot) + ' ' + std::to_string(static_cast<int>(reason)) +
           '\n';
  }
  void on_wake() override {
    if (on_woken) on_woken();
  }
  void on_tick() override {}

  std::string log;
  std::string data;
  std::function<void(ConnId, const std::string&)> on_input;
  std::function<void()> on_woken;
};

// A server with clients that are connected by memory.
class TlsEngineTest : public ::testing::Test {
 protected:
  TlsEngineTest() { engine.attach(transport); }

  // Opens connection `slot`.
  MemoryClient& open(std::uint32_t slot, const testing::ClientSettings& settings = {}) {
    MemoryClient& client = clients.try_emplace(slot, settings).first->second;
    engine.on_accept({slot, 0});
    client.shake();
    exchange(slot);
    EXPECT_TRUE(client.shake());
    exchange(slot);
    return client;
  }

  void up(std::uint32_t slot) {
    Bytes cipher = clients.at(slot).take_output();
    if (!cipher.empty()) engine.on_data({slot, 0}, cipher);
  }
  void down(std::uint32_t slot) { clients.at(slot).feed(std::exchange(transport.sent[slot], {})); }
  void exchange(std::uint32_t slot) {
    up(slot);
    down(slot);
  }
  std::size_t records_sent(std::uint32_t slot) {
    const Bytes& bytes = transport.sent[slot];
    std::size_t count = 0;
    for (std::size_t at = 0; at < bytes.size(); ++count) {
      at += 5 + (std::size_t{bytes[at + 3]} << 8U) + bytes[at + 4];
    }
    return count;
  }
  void say(ConnId conn, std::string_view text) {
    const auto bytes = bytes_of(text);
    const Part part(bytes);
    engine.send(conn, {&part, 1});
  }

  IdentityFiles files;
  tls::Context context{
      {.certificate_file = files.certificate(), .key_file = files.key(), .early_paths = {"/safe"}}};
  Application application;
  Transport transport;
  TlsEngine engine{context, application};
  std::map<std::uint32_t, MemoryClient> clients;
};

constexpr ConnId kFirst{0, 0};
constexpr ConnId kSecond{1, 0};

TEST_F(TlsEngineTest, WhatIsSentWhileInputIsHandledIsOneRecord) {
  MemoryClient& client = open(0);
  application.on_input = [&](ConnId conn, const std::string& text) {
    for (const char c : text) say(conn, std::string(3, c));
    engine.send_shared(conn, std::make_shared<const Bytes>(bytes_of("!")));
    EXPECT_EQ(engine.queued_bytes(conn), 3 * text.size() + 1);
    EXPECT_EQ(transport.queued_bytes(conn), 0U);
  };
  client.write("abc");
  client.write("de");
  up(0);
  EXPECT_EQ(application.data, "abcde");
  EXPECT_EQ(records_sent(0), 1U);
  down(0);
  EXPECT_EQ(client.read(), "aaabbbcccdddeee!");
}

TEST_F(TlsEngineTest, LongMessagesFillTheirRecords) {
  MemoryClient& client = open(0);
  const std::string head = "0123456789";
  std::string body(1'000'000, ' ');
  for (std::size_t i = 0; i < body.size(); ++i) body[i] = static_cast<char>('a' + i * i % 23);
  application.on_input = [&](ConnId conn, const std::string&) {
    const auto first = bytes_of(head);
    const auto second = bytes_of(body);
    const std::array<Part, 2> parts = {first, second};
    engine.send(conn, parts);
    say(conn, "more");
  };
  client.write("x");
  up(0);
  EXPECT_EQ(records_sent(0), (1'000'014 + tls::kMaxRecordBytes - 1) / tls::kMaxRecordBytes);
  down(0);
  EXPECT_TRUE(client.read() == head + body + "more");
}

// Short frames are written where they leave from, among what is sent in other ways and to others.
TEST_F(TlsEngineTest, RoomKeepsTheOrderAndFillsRecords) {
  MemoryClient& client = open(0);
  open(1);
  std::string text;
  std::size_t given = 0;
  application.on_input = [&](ConnId conn, const std::string&) {
    for (std::size_t i = 0; text.size() < 3 * tls::kMaxRecordBytes; ++i) {
      const std::string next(1 + i % 127, static_cast<char>('a' + i % 23));
      text += next;
      if (std::uint8_t* const at = i % 10 == 9 ? nullptr : engine.room(conn, next.size())) {
        ++given;
        std::copy(next.begin(), next.end(), at);
      } else {
        say(conn, next);
      }
      if (i % 7 == 6) say(kSecond, ".");
      if (text.size() < tls::kMaxRecordBytes) {
        EXPECT_EQ(engine.queued_bytes(conn), text.size());
      }
    }
    engine.finish(conn);
    EXPECT_EQ(engine.room(conn, 1), nullptr);
  };
  client.write("x");
  up(0);
  EXPECT_GT(given, 400U);
  EXPECT_EQ(records_sent(0), text.size() / tls::kMaxRecordBytes + 2);  // with close_notify
  down(0);
  EXPECT_TRUE(client.read() == text);
}

TEST_F(TlsEngineTest, WhatOthersAreSentInOneCallbackIsOneRecordEach) {
  open(0);
  open(1);
  application.on_woken = [&] {
    for (int i = 0; i < 10; ++i) {
      for (const ConnId conn : {kFirst, kSecond}) {
        engine.send_shared(conn, std::make_shared<const Bytes>(bytes_of(std::to_string(i))));
      }
      say(kSecond, "+");
    }
    EXPECT_EQ(engine.queued_bytes(kFirst), 10U);
    EXPECT_EQ(engine.unacknowledged_bytes(kFirst), 1010U);
  };
  engine.on_wake();
  EXPECT_EQ(records_sent(0), 1U);
  EXPECT_EQ(records_sent(1), 1U);
  down(0);
  down(1);
  EXPECT_EQ(clients.at(0).read(), "0123456789");
  EXPECT_EQ(clients.at(1).read(), "0+1+2+3+4+5+6+7+8+9+");
}

TEST_F(TlsEngineTest, WhatIsSentToTwoAtOnceIsKeptApart) {
  MemoryClient& client = open(0);
  open(1);
  transport.blocked_conns = {1};
  application.on_input = [&](ConnId, const std::string&) {
    say(kFirst, "one");
    say(kSecond, "two");
    say(kFirst, "three");
    EXPECT_FALSE(engine.blocked(kFirst));
    EXPECT_TRUE(engine.blocked(kSecond));
    transport.blocked_conns.clear();  // or else its part would wait
  };
  client.write("x");
  exchange(0);
  down(1);
  EXPECT_EQ(client.read(), "onethree");
  EXPECT_EQ(clients.at(1).read(), "two");
}

TEST_F(TlsEngineTest, FinishSaysCloseNotifyBehindEverythingAndBeforeFin) {
  MemoryClient& client = open(0);
  application.on_input = [&](ConnId conn, const std::string&) {
    say(conn, "bye");
    engine.finish(conn);
    say(conn, "too late");
  };
  client.write("x");
  up(0);
  EXPECT_TRUE(transport.finished[0]);
  down(0);
  EXPECT_EQ(client.read(), "bye");
  EXPECT_TRUE(client.ended());
  client.write("ignored");
  up(0);
  EXPECT_EQ(application.data, "x");
  engine.on_closed(kFirst, CloseReason::kFinished);
  EXPECT_EQ(application.log, "accept 0\nclosed 0 2\n");
}

TEST_F(TlsEngineTest, CloseNotifyOfThePeerIsAnsweredAndEndsIt) {
  MemoryClient& client = open(0);
  application.on_input = [&](ConnId conn, const std::string&) { say(conn, "answer"); };
  client.write("last");
  SSL_shutdown(&client.ssl());
  up(0);
  EXPECT_TRUE(transport.finished[0]);
  down(0);
  EXPECT_EQ(client.read(), "answer");
  EXPECT_TRUE(client.ended());
  engine.on_closed(kFirst, CloseReason::kFinished);
  EXPECT_EQ(application.log, "accept 0\nclosed 0 0\n");  // kPeer: it was not we who wanted it.
}

// Nobody else would end it before the idle timeout: the session hears nothing of it.
TEST_F(TlsEngineTest, WhoEndsItsStreamAndStaysIsResetWhenItTakesNothingMore) {
  MemoryClient& client = open(0);
  MemoryClient& other = open(1);
  for (MemoryClient* one : {&client, &other}) SSL_shutdown(&one->ssl());
  up(0);
  up(1);
  transport.sent.clear();
  engine.on_closed(kSecond, CloseReason::kPeer);
  const auto tick_at = [&](std::uint64_t seconds) {
    transport.now = seconds * 1'000'000'000;
    engine.on_tick();
    return transport.aborted[0];
  };
  EXPECT_FALSE(tick_at(2));
  EXPECT_FALSE(tick_at(3)) << "some is on its way";
  transport.in_kernel = 900;
  EXPECT_FALSE(tick_at(5)) << "it has taken some of it";
  EXPECT_TRUE(tick_at(7)) << "nothing more";
  EXPECT_FALSE(transport.aborted[1]) << "gone";
  engine.on_closed(kFirst, CloseReason::kAborted);
  EXPECT_EQ(application.log, "accept 0\naccept 1\nclosed 1 0\nclosed 0 0\n");
}

TEST_F(TlsEngineTest, WhoEndsItsStreamAndHasTakenAllIsResetAfterTwoSeconds) {
  SSL_shutdown(&open(0).ssl());
  up(0);
  transport.sent.clear();
  transport.in_kernel = 0;
  transport.now += 1'900'000'000;
  engine.on_tick();
  EXPECT_FALSE(transport.aborted[0]);
  transport.now += 200'000'000;
  engine.on_tick();
  EXPECT_TRUE(transport.aborted[0]);
}

TEST_F(TlsEngineTest, AStreamThatIsCutOffIsThePeersEnd) {
  MemoryClient& client = open(0);
  client.write("half a record");
  Bytes cipher = client.take_output();
  engine.on_data(kFirst, std::span(cipher).first(10));
  engine.on_closed(kFirst, CloseReason::kPeer);
  EXPECT_EQ(application.data, "");
  EXPECT_EQ(application.log, "accept 0\nclosed 0 0\n");
  say(kFirst, "nobody");
  EXPECT_EQ(engine.queued_bytes(kFirst), 0U);
}

TEST_F(TlsEngineTest, ABrokenStreamGetsAnAlertAndIsAnError) {
  MemoryClient& client = open(0);
  client.write("x");
  Bytes cipher = client.take_output();
  cipher.back() ^= 1U;
  engine.on_data(kFirst, cipher);
  EXPECT_TRUE(transport.finished[0]);
  down(0);
  client.read();
  EXPECT_EQ(client.error(), "sslv3 alert bad record mac");
  Bytes more = bytes_of("whatever");
  engine.on_data(kFirst, more);
  engine.on_closed(kFirst, CloseReason::kFinished);
  EXPECT_EQ(application.data, "");
  EXPECT_EQ(application.log, "accept 0\nclosed 0 1\n");
}

// Each request for new keys is answered: a client that reads nothing could make the answers pile
// up.
TEST_F(TlsEngineTest, WhoReadsNoAnswersIsNotRead) {
  MemoryClient& client = open(0);
  const auto ask_for_new_keys = [&] {
    SSL_key_update(&client.ssl(), SSL_KEY_UPDATE_REQUESTED);
    SSL_do_handshake(&client.ssl());
    up(0);
  };
  ask_for_new_keys();
  ask_for_new_keys();  // OpenSSL answers the first now.
  EXPECT_EQ(records_sent(0), 1U);
  EXPECT_FALSE(transport.paused);
  transport.blocked_conns = {0};
  ask_for_new_keys();
  EXPECT_TRUE(transport.paused);
}

// Subscribers share what they have to wait for, as long as it is not encrypted.
TEST_F(TlsEngineTest, WhatAFullSocketHasToWaitForIsEncryptedWhenItTakesMore) {
  MemoryClient& client = open(0);
  transport.sent.clear();
  transport.blocked_conns = {0};
  const auto frame = std::make_shared<const Bytes>(bytes_of(std::string(1000, 'f')));
  application.on_woken = [&] { engine.send_shared(kFirst, frame); };
  engine.on_wake();
  engine.on_wake();
  application.on_input = [&](ConnId conn, const std::string&) { say(conn, "behind it"); };
  client.write("x");
  up(0);
  EXPECT_TRUE(transport.sent[0].empty());
  EXPECT_EQ(frame.use_count(), 3);  // two that wait, and ours
  EXPECT_EQ(engine.queued_bytes(kFirst), 2009U);
  transport.blocked_conns.clear();
  engine.on_drained(kFirst);
  EXPECT_EQ(application.log, "accept 0\ndrained\n");
  EXPECT_EQ(frame.use_count(), 1);
  down(0);
  EXPECT_EQ(client.read(), std::string(2000, 'f') + "behind it");
}

TEST_F(TlsEngineTest, FinishEncryptsWhatStillWaits) {
  MemoryClient& client = open(0);
  transport.blocked_conns = {0};
  application.on_woken = [&] { say(kFirst, "first"); };
  engine.on_wake();
  application.on_woken = [&] { engine.finish(kFirst); };
  engine.on_wake();
  down(0);
  EXPECT_EQ(client.read(), "first");
  EXPECT_TRUE(client.ended());
}

TEST_F(TlsEngineTest, AbortSaysNothing) {
  MemoryClient& client = open(0);
  application.on_input = [&](ConnId conn, const std::string&) {
    engine.abort(conn);
    say(conn, "too late");
  };
  client.write("x");
  up(0);
  EXPECT_TRUE(transport.aborted[0]);
  EXPECT_TRUE(transport.sent[0].empty());
}

TEST_F(TlsEngineTest, WhoOnlyConnectsCostsNothing) {
  engine.on_accept(kFirst);
  EXPECT_EQ(engine.queued_bytes(kFirst), 0U);
  engine.finish(kFirst);
  EXPECT_TRUE(transport.finished[0]);
  EXPECT_EQ(transport.sends, 0);
}

TEST_F(TlsEngineTest, AnOldIdNamesNobody) {
  open(0);
  engine.on_closed(kFirst, CloseReason::kPeer);
  engine.on_accept({0, 1});
  say(kFirst, "for the first");
  engine.finish(kFirst);
  EXPECT_FALSE(transport.finished[0]);
}

// Early data.

class TlsEarlyData : public TlsEngineTest {
 protected:
  // A client with a ticket that sends `text` before the handshake.
  MemoryClient& resume(std::string_view text) {
    MemoryClient& first = open(0);
    first.read();
    EXPECT_TRUE(first.session());
    MemoryClient& client =
        clients.try_emplace(1, testing::ClientSettings{.session = first.session()}).first->second;
    engine.on_accept(kSecond);
    client.write_early(text);
    client.shake();
    return client;
  }
  static constexpr std::string_view kSafe = "GET /safe HTTP/1.1\r\n\r\n";
  static constexpr std::string_view kOther = "GET /other HTTP/1.1\r\n\r\n";
};

TEST_F(TlsEarlyData, ASafeRequestIsAnsweredAtOnceWhatFollowsItLater) {
  application.on_input = [&](ConnId conn, const std::string&) { say(conn, "101"); };
  MemoryClient& client = resume(std::string(kSafe) + "message");
  up(1);
  EXPECT_EQ(application.data, kSafe);
  down(1);
  ASSERT_TRUE(client.shake());
  EXPECT_EQ(SSL_get_early_data_status(&client.ssl()), SSL_EARLY_DATA_ACCEPTED);
  EXPECT_EQ(client.read(), "101");  // Before the server has seen the end of the handshake.
  client.write(" and more");
  up(1);
  EXPECT_EQ(application.data, std::string(kSafe) + "message and more");
}

TEST_F(TlsEarlyData, AnyOtherRequestWaitsForTheHandshake) {
  MemoryClient& client = resume(kOther);
  up(1);
  EXPECT_EQ(application.data, "");
  down(1);
  ASSERT_TRUE(client.shake());
  up(1);
  EXPECT_EQ(application.data, kOther);
}

// Nothing more may come: the client waits for the answer.
TEST_F(TlsEarlyData, ARequestThatComesTogetherWithTheEndOfTheHandshakeIsHandedOver) {
  MemoryClient& client = resume(kOther);
  Bytes early = client.take_output();
  const std::size_t hello = 5 + (std::size_t{early[3]} << 8U) + early[4];
  engine.on_data(kSecond, std::span(early).first(hello));
  down(1);
  ASSERT_TRUE(client.shake());
  EXPECT_EQ(SSL_get_early_data_status(&client.ssl()), SSL_EARLY_DATA_ACCEPTED);
  Bytes rest(early.begin() + static_cast<std::ptrdiff_t>(hello), early.end());
  const Bytes finished = client.take_output();
  rest.insert(rest.end(), finished.begin(), finished.end());
  engine.on_data(kSecond, rest);
  EXPECT_EQ(application.data, kOther);
}

TEST_F(TlsEarlyData, AFinishWaitsForTheHandshakeToo) {
  application.on_input = [&](ConnId conn, const std::string&) {
    say(conn, "404");
    engine.finish(conn);
    say(conn, "too late");
  };
  MemoryClient& client = resume(kSafe);
  up(1);
  EXPECT_FALSE(transport.finished[1]);
  down(1);
  ASSERT_TRUE(client.shake());
  up(1);
  EXPECT_TRUE(transport.finished[1]);
  down(1);
  EXPECT_EQ(client.read(), "404");
  EXPECT_TRUE(client.ended());
}

TEST_F(TlsEarlyData, APlayedBackRequestIsSeenOnceForEachTimeAndNoMoreThanItsHead) {
  MemoryClient& client = resume(std::string(kSafe) + "pay 100");
  Bytes recorded = client.take_output();
  for (const ConnId conn : {kSecond, ConnId{2, 0}, ConnId{3, 0}}) {
    if (conn != kSecond) engine.on_accept(conn);
    Bytes cipher = recorded;
    engine.on_data(conn, cipher);
  }
  EXPECT_EQ(application.data, std::string(kSafe) + std::string(kSafe) + std::string(kSafe));
}

}  // namespace
}  // namespace epulse::server
