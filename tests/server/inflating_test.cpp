// Messages that inflate to much, in the turns of an engine that is made up here: nobody else waits
// for them.
#include <gtest/gtest.h>

#include <string>

#include "server/echo_handler.hpp"
#include "server/session/session.hpp"
#include "tests/server/deflate_end.hpp"
#include "tests/server/turn.hpp"

namespace epulse::server {
namespace {

using testing::Bytes;
using testing::client_frame;
using testing::json_text;
using ws::Opcode;

constexpr std::size_t kLarge = 1'000'000;

class Inflating : public ::testing::Test {
 protected:
  Inflating() {
    session.attach(engine);
    engine.handler = &session;
  }

  void open(std::uint32_t slot, std::string_view path = "/") {
    session.on_accept({slot, 0});
    hear(slot, request_for(path, {.protocols = {}, .deflate = ws::DeflateTerms{}}));
    EXPECT_TRUE(engine.sent[slot].starts_with("HTTP/1.1 101 "));
    engine.sent[slot].clear();
  }
  void hear(std::uint32_t slot, Bytes bytes) { session.on_data({slot, 0}, bytes); }
  Bytes compressed(const Bytes& text) {
    return client_frame(Opcode::kText, compression.deflate(text, 15), true, true);
  }
  // Turns until `slot` is read again.
  int turns_of(std::uint32_t slot) {
    int turns = 0;
    for (; engine.paused.contains(slot) && turns < 10'000; ++turns) session.on_wake();
    return turns;
  }

  Turn engine;
  ws::Compression compression{{}};
  SharedState shared{
      {.max_message_bytes = kLarge,
       .gathering_cap_bytes = 3 * kLarge,
       .max_connections = 10,
       .compression = {.mode = ws::CompressionOptions::Mode::kShared, .min_bytes = 2 * kLarge}},
      {},
      1};
  EchoHandler handler{{}};
  Session session{shared, 0, handler};
};

TEST_F(Inflating, OthersAreServedMeanwhile) {
  open(0);
  open(1);
  const Bytes large = json_text(kLarge, 1);
  hear(0, compressed(large));
  EXPECT_TRUE(engine.paused.contains(0));
  session.on_wake();
  hear(1, compressed(testing::bytes_of("short")));
  EXPECT_TRUE(engine.sent[1].ends_with("short"));
  EXPECT_FALSE(engine.paused.contains(1));
  EXPECT_TRUE(engine.paused.contains(0));
  EXPECT_TRUE(engine.sent[0].empty());
  EXPECT_GT(turns_of(0), 1);
  EXPECT_TRUE(engine.sent[0].ends_with(testing::text_of(large)));
}

// What comes although nobody reads goes behind it; the close frame, too.
TEST_F(Inflating, TheOrderIsKept) {
  open(0);
  const Bytes large = json_text(kLarge / 2, 1);
  hear(0, compressed(large));
  hear(0, compressed(testing::bytes_of("second")));
  hear(0, client_frame(Opcode::kClose, Bytes{0x03, 0xe8}));
  EXPECT_TRUE(engine.sent[0].empty());
  EXPECT_GT(turns_of(0), 1);
  EXPECT_TRUE(engine.sent[0].ends_with(testing::text_of(large) + "\x81\x06second\x88\x02\x03\xe8"));
}

// A turn takes them at most as long as they left between two.
TEST_F(Inflating, TakesTurnsAmongItself) {
  for (std::uint32_t slot = 0; slot < 3; ++slot) open(slot);
  // Made before: whatever takes time in between is theirs, too.
  const auto large = compressed(Bytes(kLarge, 'x'));
  const auto small = compressed(Bytes(50'000, 'x'));
  for (std::uint32_t slot = 0; slot < 3; ++slot) hear(slot, slot == 2 ? small : large);
  EXPECT_LT(turns_of(2), 20);
  EXPECT_TRUE(engine.sent[2].ends_with(std::string(50'000, 'x')));
  EXPECT_TRUE(engine.paused.contains(0));
  EXPECT_TRUE(engine.paused.contains(1));
}

TEST_F(Inflating, WaitsForWhoDoesNotRead) {
  open(0);
  hear(0, compressed(json_text(kLarge, 1)));
  engine.full = {0};
  for (int i = 0; i < 1'000; ++i) session.on_wake();
  EXPECT_TRUE(engine.paused.contains(0));
  EXPECT_TRUE(engine.sent[0].empty());
  engine.full.clear();
  session.on_drained({0, 0});
  EXPECT_TRUE(engine.paused.contains(0));
  turns_of(0);
  EXPECT_GT(engine.sent[0].size(), kLarge);
}

// A subscriber is read as long as its backlog is within its cap.
TEST_F(Inflating, DoesNotWaitForASubscriberWithinItsBacklog) {
  open(0, "/topic/a");
  hear(0, compressed(json_text(kLarge / 10, 1)));
  engine.full = {0};
  EXPECT_TRUE(engine.paused.contains(0));
  turns_of(0);
  EXPECT_FALSE(engine.paused.contains(0));
  EXPECT_FALSE(engine.sent[0].empty());
}

// Who is asked to close is heard, whatever else is against it.
TEST_F(Inflating, WhoIsToCloseIsHeard) {
  open(0);
  hear(0, compressed(json_text(kLarge / 10, 1)));
  engine.full = {0};
  session.on_wake();
  session.close({0, 0}, ws::CloseCode::kGoingAway, "");
  hear(0, client_frame(Opcode::kClose, Bytes{0x03, 0xe9}));
  for (int i = 0; i < 1'000; ++i) session.on_wake();
  EXPECT_TRUE(engine.finished.contains(0));
}

// What was held of a request is none of the messages' memory.
TEST_F(Inflating, HalfARequestIsNotCountedAtItsEnd) {
  session.on_accept({5, 0});
  hear(5, testing::bytes_of("GET / HT"));
  session.on_closed({5, 0}, CloseReason::kPeer);
  open(0);
  hear(0, client_frame(Opcode::kText, testing::bytes_of("half"), false));
  hear(0, client_frame(Opcode::kContinuation, testing::bytes_of(" and half")));
  EXPECT_TRUE(engine.sent[0].ends_with("half and half")) << engine.sent[0];
}

// Many who may hold something each may not all be half done at a time.
TEST_F(Inflating, ManyComeToTheirEnds) {
  for (std::uint32_t slot = 0; slot < 8; ++slot) {
    open(slot);
    hear(slot, compressed(Bytes(kLarge, 'x')));
  }
  for (std::uint32_t slot = 0; slot < 8; ++slot) {
    turns_of(slot);
    EXPECT_GT(engine.sent[slot].size(), kLarge) << slot;
  }
}

TEST_F(Inflating, WhoLeavesIsForgotten) {
  open(0);
  hear(0, compressed(json_text(kLarge, 1)));
  session.on_closed({0, 0}, CloseReason::kPeer);
  session.on_accept({0, 1});
  for (int i = 0; i < 1'000; ++i) session.on_wake();
  EXPECT_TRUE(engine.sent[0].empty());
}

// Input that waits is memory like that of messages under way.
TEST_F(Inflating, WhatWaitsIsBounded) {
  for (std::uint32_t slot = 0; slot < 8; ++slot) {
    open(slot);
    engine.full.insert(slot);
    hear(slot, compressed(testing::bytes_of(std::string(kLarge, 'x'))));
    hear(slot, Bytes(kLarge / 2, 0));
  }
  int closed = 0;
  for (std::uint32_t slot = 0; slot < 8; ++slot) {
    if (engine.sent[slot].ends_with("too many messages under way")) ++closed;
  }
  EXPECT_GE(closed, 2);
  EXPECT_LE(closed, 6);
}

}  // namespace
}  // namespace epulse::server
