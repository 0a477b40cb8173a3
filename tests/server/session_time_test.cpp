// What a session does when things happen in one turn of its engine, which is made up here.
#include <gtest/gtest.h>

#include <map>
#include <set>
#include <string>

#include "server/engine/clock.hpp"
#include "server/session/session.hpp"
#include "server/ws/client_handshake.hpp"
#include "tests/server/test_client.hpp"

namespace epulse::server {
namespace {

class Turn final : public Engine {
 public:
  void run() override {}
  void stop() override {}
  void stop_accepting() override {}
  std::uint64_t now_ns() const override { return now; }
  void send(ConnId conn, std::span<const Part> parts) override {
    for (const Part part : parts) sent[conn.slot].append(part.begin(), part.end());
  }
  void send_shared(ConnId conn, SharedBytes bytes) override {
    sent[conn.slot].append(bytes->begin(), bytes->end());
  }
  std::size_t queued_bytes(ConnId conn) const override {
    const auto found = queued.find(conn.slot);
    return found == queued.end() ? 0 : found->second;
  }
  bool blocked(ConnId conn) const override { return full.contains(conn.slot); }
  void pause_reading(ConnId /*conn*/) override {}
  void resume_reading(ConnId /*conn*/) override {}
  std::size_t unacknowledged_bytes(ConnId conn) override { return queued_bytes(conn); }
  Address peer_address(ConnId /*conn*/) override { return {}; }
  void finish(ConnId /*conn*/) override {}
  void abort(ConnId conn) override { aborted.insert(conn.slot); }

  std::uint64_t now = clock_ns();
  std::map<std::uint32_t, std::string> sent;
  std::map<std::uint32_t, std::size_t> queued;
  std::set<std::uint32_t> full;  // sockets that take no more
  std::set<std::uint32_t> aborted;
};

class SessionTime : public ::testing::Test {
 protected:
  SessionTime() { session.attach(engine); }

  void subscribe(std::uint32_t slot) {
    session.on_accept({slot, 0});
    hear(slot, testing::bytes_of(ws::upgrade_request("x", "/topic/a", "dGhlIHNhbXBsZSBub25jZQ==")));
    EXPECT_TRUE(engine.sent[slot].starts_with("HTTP/1.1 101 "));
  }
  void hear(std::uint32_t slot, testing::Bytes bytes) { session.on_data({slot, 0}, bytes); }

  Turn engine;
  SharedState shared{{.max_connections = 10, .backlog_cap_bytes = 1000}, 1};
  Session session{shared, 0};
};

const testing::Bytes kMessage = testing::client_frame(ws::Opcode::kText, testing::bytes_of("x"));

TEST_F(SessionTime, ASlowSubscriberIsDroppedInTheTurnInWhichItsTimerIsDue) {
  subscribe(0);
  subscribe(1);
  engine.queued[1] = 1001;
  engine.full = {1};
  hear(0, kMessage);
  EXPECT_EQ(engine.aborted, (std::set<std::uint32_t>{1}));
  engine.now += 20 * kSecondNs;  // The handshake's timer, say.
  session.on_tick();
  session.on_closed({1, 0}, CloseReason::kAborted);
  hear(0, kMessage);
}

TEST_F(SessionTime, ARichTurnIsLookedAtAgain) {
  subscribe(0);
  subscribe(1);
  engine.queued[1] = 1001;  // and nobody has tried to send it yet
  hear(0, kMessage);
  EXPECT_TRUE(engine.aborted.empty());
  engine.full = {1};
  engine.now += 2 * kSecondNs;
  session.on_tick();
  EXPECT_EQ(engine.aborted, (std::set<std::uint32_t>{1}));
}

}  // namespace
}  // namespace epulse::server
