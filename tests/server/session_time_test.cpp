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

// A limit that who cannot be asked for its address would not meet is none.
TEST(SessionLimits, WhoHasNoAddressIsOverTheLimit) {
  Turn engine;  // which knows none
  for (const bool reset : {false, true}) {
    SharedState shared{
        {.max_connections = 10, .address_limits = {.connections = 5}, .limited_are_reset = reset},
        {},
        1};
    EchoHandler handler{{}};
    Session session{shared, 0, handler};
    session.attach(engine);
    session.on_accept({0, 0});
    testing::Bytes bytes = request_for("/");
    if (!reset) session.on_data({0, 0}, bytes);
    EXPECT_EQ(engine.sent[0].starts_with("HTTP/1.1 429 "), !reset) << engine.sent[0];
    EXPECT_EQ(engine.aborted.contains(0), reset);
    engine.sent.clear();
  }
}

// A publisher is held back by its first message that finds no room. Many of them would fill the
// memory nevertheless.
TEST(SessionPublishers, AreRefusedWhileTooMuchWaitsForAnotherWorker) {
  Turn engine;
  SharedState shared{{.outbox_cap_bytes = 1000, .max_connections = 10}, {}, 2};
  EchoHandler handler{{}};
  Session session{shared, 0, handler};
  session.attach(engine);
  const TopicPtr topic = shared.hub.topic("a");
  topic->add(1, {0, 0});
  const auto filling = std::make_shared<const Publication>(topic, ws::Opcode::kBinary,
                                                           Bytes(std::size_t{1024} * 1024));
  for (PublicationPtr copy = filling; shared.hub.offer(1, copy);) copy = filling;

  const testing::Bytes message =
      testing::client_frame(ws::Opcode::kText, testing::bytes_of(std::string(1'200'000, 'x')));
  for (std::uint32_t slot = 0; slot < 3; ++slot) {
    session.on_accept({slot, 0});
    testing::Bytes bytes = request_for("/topic/a");
    session.on_data({slot, 0}, bytes);
    engine.sent[slot].clear();
  }
  for (std::uint32_t slot = 0; slot < 2; ++slot) {
    testing::Bytes bytes = message;
    session.on_data({slot, 0}, bytes);
  }
  EXPECT_TRUE(engine.paused.contains(0)) << "held back";
  EXPECT_FALSE(engine.paused.contains(1));
  EXPECT_TRUE(
      engine.sent[1].ends_with("\x03\xF5"
                               "other workers are behind with publications"));
  EXPECT_EQ(engine.sent[2].size(), engine.sent[0].size()) << "the first message only";
  EXPECT_NE(shared.pages.text().find("gathering_closed 1\n"), std::string::npos)
      << shared.pages.text();

  PublicationPtr taken;
  while (shared.hub.take(1, taken)) {
  }
  session.on_wake();
  EXPECT_FALSE(engine.paused.contains(0));
  EXPECT_TRUE(shared.hub.take(1, taken)) << "it is lost";
  EXPECT_FALSE(shared.hub.take(1, taken)) << "the other was not refused";
  testing::Bytes bytes = message;
  session.on_data({2, 0}, bytes);
  EXPECT_TRUE(shared.hub.take(1, taken));
}

}  // namespace
}  // namespace epulse::server
