#include "server/session/hub.hpp"

#include <gtest/gtest.h>

#include <thread>
#include <vector>

#include "server/session/outbox.hpp"

namespace epulse::server {
namespace {

TEST(BoundedRing, RefusesWhenFullAndKeepsTheValue) {
  BoundedRing<int> ring(4);
  for (int i = 0; i < 4; ++i) {
    int value = i;
    EXPECT_TRUE(ring.push(value));
  }
  int fifth = 5;
  EXPECT_FALSE(ring.push(fifth));
  EXPECT_EQ(fifth, 5);
  int value = -1;
  for (int i = 0; i < 4; ++i) {
    EXPECT_TRUE(ring.pop(value));
    EXPECT_EQ(value, i);
  }
  EXPECT_FALSE(ring.pop(value));
  EXPECT_TRUE(ring.push(fifth));
}

TEST(BoundedRing, EachWriterKeepsItsOrderAndNothingIsLost) {
  constexpr int kWriters = 3;
  constexpr int kItems = 20'011;
  BoundedRing<int> ring(64);
  std::vector<std::thread> writers;
  writers.reserve(kWriters);
  for (int w = 0; w < kWriters; ++w) {
    writers.emplace_back([&ring, w] {
      for (int i = 0; i < kItems; ++i) {
        int value = i * kWriters + w;
        while (!ring.push(value)) std::this_thread::yield();
      }
    });
  }
  std::vector<int> next(kWriters, 0);
  for (int seen = 0; seen < kWriters * kItems;) {
    int value = 0;
    if (!ring.pop(value)) {
      std::this_thread::yield();
      continue;
    }
    ++seen;
    int& expected = next[static_cast<std::size_t>(value % kWriters)];
    ASSERT_EQ(value / kWriters, expected);
    ++expected;
  }
  for (std::thread& writer : writers) writer.join();
  for (const int count : next) EXPECT_EQ(count, kItems);
}

TEST(Topic, RemovingMovesTheLastMemberIntoTheGap) {
  Topic topic("t", 2);
  EXPECT_EQ(topic.add(1, {10, 0}), 0U);
  EXPECT_EQ(topic.add(1, {11, 0}), 1U);
  EXPECT_EQ(topic.add(1, {12, 0}), 2U);
  EXPECT_TRUE(topic.has_members(1));
  EXPECT_FALSE(topic.has_members(0));
  topic.remove(1, 0);
  EXPECT_EQ(topic.members(1), (std::vector<ConnId>{{12, 0}, {11, 0}}));
  topic.remove(1, 1);
  topic.remove(1, 0);
  EXPECT_FALSE(topic.has_members(1));
}

TEST(Hub, OneTopicPerNameWhileItIsUsed) {
  Hub hub(2);
  const std::shared_ptr<Topic> first = hub.topic("a");
  EXPECT_EQ(hub.topic("a"), first);
  EXPECT_NE(hub.topic("b"), first);
  std::weak_ptr<Topic> gone = hub.topic("c");
  EXPECT_TRUE(gone.expired());
}

// A mailbox that nobody empties takes a bounded number of bytes, then refuses; once emptied, who
// was refused is woken.
TEST(Hub, FullMailboxRefusesAndWakesWhoWaits) {
  Hub hub(2);
  auto publication = std::make_shared<const Publication>(hub.topic("a"), ws::Opcode::kBinary,
                                                         Bytes(std::size_t{1024} * 1024));
  std::size_t accepted = 0;
  for (PublicationPtr copy = publication; accepted < 10'000 && hub.offer(1, copy);
       copy = publication) {
    ++accepted;
  }
  EXPECT_GT(accepted, 1U);
  EXPECT_LE(accepted, 64U);  // of 1 MiB each in 64 MiB
  hub.announce_stall(0);
  std::uint64_t count = 0;
  EXPECT_LT(read(hub.waker(0).fd(), &count, sizeof count), 0);
  PublicationPtr taken;
  while (hub.take(1, taken)) --accepted;
  EXPECT_EQ(accepted, 0U);
  hub.wake_stalled(1);
  EXPECT_EQ(read(hub.waker(0).fd(), &count, sizeof count), 8);
  PublicationPtr copy = publication;
  EXPECT_TRUE(hub.offer(1, copy));
}

// A backlog is counted by what is sent: the plain message must not stay for it.
TEST(Publication, WhatIsSentCompressedDoesNotKeepThePlainOne) {
  Hub hub(1);
  ws::Compression compression({.mode = ws::CompressionOptions::Mode::kShared});
  auto publication = std::make_shared<const Publication>(hub.topic("a"), ws::Opcode::kText,
                                                         Bytes(std::size_t{1024} * 1024, 'x'));
  const SharedBytes frame = publication->compressed_frame(compression, 15);
  ASSERT_NE(frame, nullptr);
  EXPECT_EQ(publication->compressed_frame(compression, 15), frame) << "made once";
  const std::weak_ptr<const Publication> plain = publication;
  publication.reset();
  EXPECT_TRUE(plain.expired());
  EXPECT_LT(frame->size(), 20'000U);
  const auto small =
      std::make_shared<const Publication>(hub.topic("a"), ws::Opcode::kText, Bytes(20));
  EXPECT_EQ(small->compressed_frame(compression, 15), nullptr);
}

// Only a prefix is subscribed to on the other worker.
TEST(Outbox, HandsOverToWhoHasAPrefixOfTheTopicOnly) {
  Hub hub(3);
  const TopicPtr topic = hub.topic("a.b");
  const TopicPtr prefix = hub.prefix("a.");
  const TopicPtr other = hub.prefix("b");
  prefix->add(1, {10, 0});
  other->add(2, {11, 0});
  Outbox outbox(hub, 0);
  outbox.hand_over(std::make_shared<const Publication>(topic, ws::Opcode::kText, Bytes{'x'}));
  PublicationPtr taken;
  EXPECT_TRUE(hub.take(1, taken));
  EXPECT_FALSE(hub.take(2, taken));
  EXPECT_TRUE(outbox.empty());
}

TEST(Outbox, CountsWhatWaits) {
  Hub hub(2);
  const TopicPtr topic = hub.topic("a");
  topic->add(1, {10, 0});
  Outbox outbox(hub, 0);
  const auto publication = std::make_shared<const Publication>(topic, ws::Opcode::kBinary,
                                                               Bytes(std::size_t{1024} * 1024));
  const std::size_t each = publication->held_bytes();
  EXPECT_GT(each, publication->frame().size());
  while (outbox.empty()) outbox.hand_over(publication);
  outbox.hand_over(publication);
  EXPECT_EQ(outbox.bytes(), 2 * each);
  EXPECT_TRUE(outbox.has_to_wait(*topic));
  EXPECT_FALSE(outbox.has_to_wait(*hub.topic("nobody's")));
  PublicationPtr taken;
  ASSERT_TRUE(hub.take(1, taken));
  EXPECT_FALSE(outbox.retry());
  EXPECT_EQ(outbox.bytes(), each);
  while (hub.take(1, taken)) {
  }
  EXPECT_TRUE(outbox.retry());
  EXPECT_EQ(outbox.bytes(), 0U);
}

TEST(Waker, ManyCallsOneWrite) {
  Waker waker;
  for (int i = 0; i < 5; ++i) waker.wake();
  std::uint64_t count = 0;
  ASSERT_EQ(read(waker.fd(), &count, sizeof count), 8);
  EXPECT_EQ(count, 1U);
  waker.wake();
  EXPECT_LT(read(waker.fd(), &count, sizeof count), 0);  // Not acknowledged: still pending.
  waker.acknowledge();
  waker.wake();
  EXPECT_EQ(read(waker.fd(), &count, sizeof count), 8);
}

}  // namespace
}  // namespace epulse::server
