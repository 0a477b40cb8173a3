// What a session does when things happen in one turn of its engine, which is made up here.
#include <gtest/gtest.h>

#include <set>

#include "server/echo_handler.hpp"
#include "server/session/session.hpp"
#include "tests/server/turn.hpp"

namespace epulse::server {
namespace {

class SessionTime : public ::testing::Test {
 protected:
  SessionTime() { session.attach(engine); }

  void subscribe(std::uint32_t slot) {
    session.on_accept({slot, 0});
    hear(slot, request_for("/topic/a"));
    EXPECT_TRUE(engine.sent[slot].starts_with("HTTP/1.1 101 "));
  }
  void hear(std::uint32_t slot, testing::Bytes bytes) { session.on_data({slot, 0}, bytes); }

  Turn engine;
  SharedState shared{{.max_connections = 10, .backlog_cap_bytes = 1000}, {}, 1};
  EchoHandler handler{{}};
  Session session{shared, 0, handler};
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

TEST_F(SessionTime, ManyWhoseTimeHasComeDoNotFillOneTurn) {
  constexpr std::uint32_t kMany = 100;
  for (std::uint32_t slot = 0; slot < kMany; ++slot) session.on_accept({slot, 0});
  engine.now += 20 * kSecondNs;
  session.on_tick();
  EXPECT_FALSE(engine.aborted.empty());
  for (std::size_t before = 0; engine.aborted.size() < kMany; session.on_wake()) {
    ASSERT_GT(engine.aborted.size(), before);
    ASSERT_LE(engine.aborted.size() - before, 20U);
    before = engine.aborted.size();
  }
}

TEST_F(SessionTime, WhoseTimeHasComeAreMoreInATurnWhereTurnsAreLong) {
  constexpr std::uint32_t kMany = 5000;
  for (std::uint32_t slot = 0; slot < kMany; ++slot) session.on_accept({slot, 0});
  engine.now += 20 * kSecondNs;
  session.on_tick();
  const std::size_t at_first = engine.aborted.size();
  EXPECT_LE(at_first, 20U);
  engine.now += kSecondNs / 100;
  session.on_wake();
  const std::size_t after_a_long_one = engine.aborted.size() - at_first;
  EXPECT_GE(after_a_long_one, 50U);
  EXPECT_LE(after_a_long_one, 200U);
  engine.now += 10 * kSecondNs;
  session.on_wake();
  EXPECT_LE(engine.aborted.size() - after_a_long_one, 1000U);
}

// The first one's timers must find nobody, neither an empty slot nor who has it now.
TEST_F(SessionTime, ATimerDoesNotOutliveItsConnection) {
  session.on_accept({0, 0});
  session.on_closed({0, 0}, CloseReason::kPeer);
  engine.now += 20 * kSecondNs;
  session.on_tick();
  session.on_accept({1, 0});
  engine.now += 6 * kSecondNs;
  session.on_closed({1, 0}, CloseReason::kPeer);
  session.on_accept({1, 1});
  engine.now += 6 * kSecondNs;
  session.on_tick();
  EXPECT_TRUE(engine.aborted.empty());
}

}  // namespace
}  // namespace epulse::server
