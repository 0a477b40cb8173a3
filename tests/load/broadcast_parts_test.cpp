// What a broadcast is checked by: stamps, order, windows.
#include <gtest/gtest.h>

#include <vector>

#include "tools/load/broadcast.hpp"
#include "tools/load/delivery_order.hpp"
#include "tools/load/result.hpp"
#include "tools/load/stamp.hpp"
#include "tools/load/subscriber.hpp"

namespace epulse::load {
namespace {

using Turn = DeliveryOrder::Turn;

TEST(DeliveryOrder, TellsWhatIsSkippedLateAndRepeated) {
  DeliveryOrder order;
  const auto expect = [&order](std::uint64_t sequence, Turn turn, std::uint64_t skipped = 0) {
    const DeliveryOrder::Arrival arrival = order.take(sequence);
    EXPECT_EQ(arrival.turn, turn) << sequence;
    EXPECT_EQ(arrival.skipped, skipped) << sequence;
  };
  expect(0, Turn::kNew);
  expect(0, Turn::kRepeated);
  expect(3, Turn::kNew, 2);
  expect(2, Turn::kLate);
  expect(2, Turn::kRepeated);
  expect(4, Turn::kNew);
  expect(7, Turn::kNew, 2);
  expect(1, Turn::kLate);
  expect(6, Turn::kLate);
  expect(5, Turn::kLate);
  expect(7, Turn::kRepeated);
  EXPECT_EQ(order.next(), 8U);
}

// A sender that skips at will takes neither memory nor time by it.
TEST(DeliveryOrder, RemembersTheLastSkippedOnly) {
  DeliveryOrder order;
  constexpr std::uint64_t kFar = std::uint64_t{1} << 40;
  EXPECT_EQ(order.take(kFar).skipped, kFar);
  EXPECT_EQ(order.take(kFar - 1).turn, Turn::kLate);
  EXPECT_EQ(order.take(kFar - DeliveryOrder::kRemembered).turn, Turn::kLate);
  EXPECT_EQ(order.take(kFar - DeliveryOrder::kRemembered - 1).turn, Turn::kRepeated);
  EXPECT_EQ(order.take(kFar + 1).turn, Turn::kNew);
  // Those of before make room for later ones.
  EXPECT_EQ(order.take(kFar + 2 + DeliveryOrder::kRemembered).turn, Turn::kNew);
  EXPECT_EQ(order.take(kFar - 2).turn, Turn::kRepeated);
  EXPECT_EQ(order.take(kFar + 2).turn, Turn::kLate);
}

void expect_all_checked(std::size_t size, const Stamp& stamp, bool letters) {
  std::vector<std::uint8_t> payload(size);
  fill_stamped(payload, stamp, letters);
  EXPECT_EQ(read_stamped(payload, letters), stamp);
  for (std::uint8_t& byte : payload) {
    for (const unsigned bit : {0x01U, 0x20U, 0x80U}) {  // 0x20: the case of a letter
      byte = static_cast<std::uint8_t>(byte ^ bit);
      EXPECT_EQ(read_stamped(payload, letters), std::nullopt) << &byte - payload.data();
      byte = static_cast<std::uint8_t>(byte ^ bit);
    }
  }
}

TEST(Stamp, IsReadAsWrittenAndAnyOtherByteIsNoticed) {
  for (const bool letters : {false, true}) {
    for (const std::size_t size : {kStampBytes, kStampBytes + 1, std::size_t{60}}) {
      expect_all_checked(size, make_stamp(65535, 0xABCDEF, 0xFEDCBA98ULL * 1000), letters);
      // So many that every digit is in every place of the check.
      for (std::uint64_t k = 0; k < 256; ++k)
        expect_all_checked(size, make_stamp(0, k, 0), letters);
    }
  }
  EXPECT_EQ(read_stamped(std::vector<std::uint8_t>(kStampBytes - 1), false), std::nullopt);
}

TEST(Stamp, TellsTheWholeNumberByOneNearIt) {
  for (const std::uint64_t near : {std::uint64_t{1} << 23U, std::uint64_t{5} << 24U}) {
    for (const std::uint64_t sequence : {near, near + 1, near - 1, near + 70'000, near - 70'000}) {
      EXPECT_EQ(whole_sequence(make_stamp(0, sequence, 0), near), sequence);
    }
  }
  constexpr std::uint64_t kWrapNs = (std::uint64_t{1} << 32U) * 1000;
  const Stamp stamp = make_stamp(0, 0, kWrapNs - 5000);
  EXPECT_EQ(age_ns(stamp, kWrapNs + 7000), 12'000U);
}

class BroadcastParts : public ::testing::Test {
 protected:
  static Options options() {
    Options options;
    options.broadcast = true;
    options.connections = 3;
    options.publishers = 2;
    return options;
  }

  std::vector<std::uint8_t> publish(std::uint32_t publisher, std::uint64_t due_ns = 0) {
    std::vector<std::uint8_t> payload(kStampBytes);
    broadcast.publication(publisher).compose(payload, due_ns);
    return payload;
  }
  void give(std::size_t to, const std::vector<std::uint8_t>& payload, std::uint64_t now_ns = 0) {
    subscribers[to].take(payload, now_ns, false, counters);
  }
  std::uint64_t errors(ErrorKind kind) const {
    Totals totals;
    totals.add(counters);
    return totals.errors[index_of(kind)];
  }
  std::uint64_t errors() const {
    Totals totals;
    totals.add(counters);
    return totals.error_total();
  }

  Broadcast broadcast{options()};
  std::vector<Subscriber> subscribers{{broadcast, 0}, {broadcast, 1}, {broadcast, 2}};
  Counters counters;
};

TEST_F(BroadcastParts, AMessageIsInFlightUntilAllWhoJoinedHaveIt) {
  subscribers[0].join();
  subscribers[2].join();
  Publication& publication = broadcast.publication(0);
  const auto first = publish(0);
  const auto second = publish(0);
  const auto other = publish(1);
  EXPECT_EQ(publication.in_flight(), 2U);
  give(2, first);
  give(2, second);
  give(2, other);
  EXPECT_EQ(publication.in_flight(), 2U);
  give(0, first);
  EXPECT_EQ(publication.in_flight(), 1U);
  EXPECT_EQ(subscribers[0].missing(), 2U);
  subscribers[0].leave();
  EXPECT_EQ(publication.in_flight(), 0U);
  EXPECT_EQ(broadcast.publication(1).in_flight(), 0U);
  EXPECT_EQ(counters.received, 4U);
  EXPECT_EQ(errors(), 0U);
}

TEST_F(BroadcastParts, WhatIsAbandonedIsATimeoutForEachWhoWaits) {
  subscribers[0].join();
  subscribers[1].join();
  const auto first = publish(1, 1'000'000);
  publish(1, 2'000'000);
  give(0, first, 1'000'000);
  broadcast.publication(1).abandon(9'000'000, counters);
  EXPECT_EQ(errors(ErrorKind::kTimeout), 3U);
  EXPECT_EQ(counters.latency.snapshot().total(), 4U);
  EXPECT_EQ(counters.latency.snapshot().max_ns, 8'000'000U);
}

TEST_F(BroadcastParts, LateMessagesAreNoLosses) {
  subscribers[0].join();
  const auto first = publish(0);
  const auto second = publish(0);
  const auto third = publish(0);
  give(0, third);
  EXPECT_EQ(errors(ErrorKind::kLost), 2U);
  // The window goes on: nothing is known to bring the others.
  EXPECT_EQ(broadcast.publication(0).in_flight(), 0U);
  give(0, second);
  EXPECT_EQ(errors(ErrorKind::kLost), 1U);
  EXPECT_EQ(errors(ErrorKind::kOrder), 1U);
  EXPECT_EQ(errors(), 2U);
  give(0, second);
  EXPECT_EQ(errors(ErrorKind::kDuplicate), 1U);
  give(0, first);
  EXPECT_EQ(errors(ErrorKind::kLost), 0U);
  EXPECT_EQ(counters.received, 3U);
}

// Of a publisher elsewhere all numbers from the first on may come, and none before it.
TEST_F(BroadcastParts, NothingComesBeforeTheFirstOfAnotherProcess) {
  Options listening = options();
  listening.publishers = 0;
  Broadcast elsewhere{listening};
  Subscriber subscriber{elsewhere, 0};
  subscriber.join();
  std::vector<std::uint8_t> payload(kStampBytes);
  const auto give_number = [&](std::uint64_t sequence) {
    fill_stamped(payload, make_stamp(0, sequence, 0), false);
    subscriber.take(payload, 0, false, counters);
  };
  give_number(0x80'0000);  // half of what a stamp can tell is behind
  EXPECT_EQ(errors(ErrorKind::kWrongEcho), 1U);
  give_number(0);
  give_number(1);
  EXPECT_EQ(errors(), 1U);
  EXPECT_EQ(counters.received, 2U);
}

TEST_F(BroadcastParts, WhatNobodyPublishedIsWrong) {
  subscribers[0].join();
  const auto right = publish(0);
  std::vector<std::uint8_t> strange(kStampBytes);
  for (const Stamp& stamp : {make_stamp(0, 1, 0), make_stamp(1, 0, 0), make_stamp(2, 0, 0)}) {
    fill_stamped(strange, stamp, false);
    give(0, strange);
  }
  give(0, {});
  EXPECT_EQ(errors(ErrorKind::kWrongEcho), 4U);
  EXPECT_EQ(counters.received, 0U);
  give(0, right);
  EXPECT_EQ(counters.received, 1U);
}

}  // namespace
}  // namespace epulse::load
