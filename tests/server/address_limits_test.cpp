#include "server/access/address_limits.hpp"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>

#include <thread>
#include <vector>

namespace epulse::server {
namespace {

constexpr std::uint64_t kSecond = 1'000'000'000;

PeerKey v4(const char* text) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  EXPECT_EQ(inet_pton(AF_INET, text, &address.sin_addr), 1);
  return peer_key(reinterpret_cast<const sockaddr&>(address));
}

PeerKey v6(const char* text) {
  sockaddr_in6 address{};
  address.sin6_family = AF_INET6;
  EXPECT_EQ(inet_pton(AF_INET6, text, &address.sin6_addr), 1);
  return peer_key(reinterpret_cast<const sockaddr&>(address));
}

TEST(PeerKey, IsTheAddressOrTheNetwork) {
  EXPECT_NE(v4("10.0.0.1"), v4("10.0.0.2"));
  EXPECT_EQ(v4("10.0.0.1"), v6("::ffff:10.0.0.1"));
  EXPECT_EQ(v6("2001:db8:1:2::1"), v6("2001:db8:1:2:ffff::7"));
  EXPECT_NE(v6("2001:db8:1:2::1"), v6("2001:db8:1:3::1"));
}

TEST(AddressLimits, WithoutAnyTheyAllowAllAndRememberNobody) {
  AddressLimits limits({});
  for (int i = 0; i < 1000; ++i) EXPECT_TRUE(limits.enter(v4("10.0.0.1"), 0));
  EXPECT_EQ(limits.size(), 0U);
}

TEST(AddressLimits, CountWhatIsOpenPerAddress) {
  AddressLimits limits({.connections = 3});
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(limits.enter(v4("10.0.0.1"), 0));
  EXPECT_FALSE(limits.enter(v4("10.0.0.1"), 0));
  EXPECT_TRUE(limits.enter(v4("10.0.0.2"), 0));
  limits.leave(v4("10.0.0.1"), 0);
  EXPECT_TRUE(limits.enter(v4("10.0.0.1"), 0));
  EXPECT_FALSE(limits.enter(v4("10.0.0.1"), 0));
}

TEST(AddressLimits, RefillTheRateWithTime) {
  AddressLimits limits({.connects_per_second = 10, .connects_at_once = 5});
  const PeerKey peer = v4("10.0.0.1");
  int allowed = 0;
  for (int i = 0; i < 100; ++i) allowed += limits.enter(peer, 1) ? 1 : 0;
  EXPECT_EQ(allowed, 5);
  for (int i = 0; i < 100; ++i) allowed += limits.enter(peer, 1 + kSecond / 10) ? 1 : 0;
  EXPECT_EQ(allowed, 6);
  for (int i = 0; i < 100; ++i) allowed += limits.enter(peer, 100 * kSecond) ? 1 : 0;
  EXPECT_EQ(allowed, 11);  // what was not used does not pile up above the burst
}

TEST(AddressLimits, ForgetWhoHasGoneAndOwesNothing) {
  AddressLimits limits({.connections = 3, .connects_per_second = 1, .connects_at_once = 2});
  const PeerKey peer = v4("10.0.0.1");
  EXPECT_TRUE(limits.enter(peer, 0));
  limits.leave(peer, 1);
  EXPECT_EQ(limits.size(), 1U);  // it has used half its burst
  EXPECT_TRUE(limits.enter(peer, 10 * kSecond));
  limits.leave(peer, 20 * kSecond);
  EXPECT_EQ(limits.size(), 0U);
}

TEST(AddressLimits, StayBoundedUnderManyAddresses) {
  AddressLimits limits({.connects_per_second = 1000, .connects_at_once = 1});
  for (std::uint32_t i = 0; i < 1'000'000; ++i) {
    PeerKey peer;
    for (unsigned k = 0; k < 4; ++k) peer.bytes[k] = static_cast<std::uint8_t>(i >> (8 * k));
    const std::uint64_t now = i * std::uint64_t{100'000};  // 10,000 a second
    ASSERT_TRUE(limits.enter(peer, now));
    limits.leave(peer, now);
  }
  EXPECT_LE(limits.size(), 64U * 64U);
}

TEST(AddressLimits, AreExactUnderThreads) {
  AddressLimits limits({.connections = 1000});
  std::atomic<int> allowed{0};
  {
    std::vector<std::jthread> threads;
    threads.reserve(4);
    for (int k = 0; k < 4; ++k) {
      threads.emplace_back([&] {
        for (int i = 0; i < 1000; ++i) {
          if (limits.enter(v4("10.0.0.1"), 0)) ++allowed;
        }
      });
    }
  }
  EXPECT_EQ(allowed, 1000);
}

}  // namespace
}  // namespace epulse::server
