// Connections that are held.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "tests/load/fake_server.hpp"
#include "tests/load/load_child.hpp"
#include "tests/load/server_counts.hpp"
#include "tests/server/child.hpp"

namespace epulse::testing {
namespace {

using ::testing::HasSubstr;

TEST(LoadIdle, ConnectionsAreHeldAndNothingIsSent) {
  ServerChild server;
  Child load(load_command(server.url(), {"-c", "50", "-t", "2", "--idle", "-d", "0.5", "-j"}));
  ASSERT_EQ(load.wait(), 0) << load.out() << load.err();
  EXPECT_THAT(load.out(), HasSubstr("\"mode\":\"idle\""));
  EXPECT_EQ(number(load.out(), "opened"), 50);
  EXPECT_EQ(number(load.out(), "connected_at_end"), 50);
  EXPECT_GE(number(load.out(), "elapsed_s"), 0.5);
  EXPECT_EQ(number(load.out(), "sent"), 0);
  EXPECT_EQ(messages_in(server.port()), 0U);
  EXPECT_THAT(load.out(), HasSubstr("\"memory\":null"));
}

TEST(LoadIdle, PingsAreAnsweredAndNothingElseIsSaid) {
  const Listener listener;
  Bytes said;
  std::thread server([&] {
    const FakeConnection connection(listener);
    const Bytes ping = {0x89, 3, 'a', 'b', 'c'};
    say(connection.fd(), ping);
    std::uint8_t byte = 0;
    // To the end of the close frame: 2 bytes, the mask, the code.
    while (said.size() < 9 + 8 && recv(connection.fd(), &byte, 1, 0) == 1) said.push_back(byte);
  });
  Child load(load_command(listener.url(), {"-c", "1", "--idle", "-d", "0.3", "--progress", "0"}));
  EXPECT_EQ(load.wait(), 0) << load.out() << load.err();
  server.join();
  ASSERT_EQ(said.size(), 9U + 8);
  EXPECT_EQ(said[0], 0x8A);
  EXPECT_EQ(said[1], 0x83);
  for (std::size_t k = 0; k < 3; ++k) EXPECT_EQ(said[6 + k] ^ said[2 + k], "abc"[k]);
  EXPECT_EQ(said[9], 0x88);
  EXPECT_THAT(load.out(), HasSubstr("\nconnections  1 of 1 opened\nheld         1 for 0.30 s; 1 "
                                    "pings answered\n"));
}

TEST(LoadIdle, AConnectionThatTheServerEndsIsAnError) {
  const Listener listener;
  std::thread server([&] { const FakeConnection connection(listener); });
  Child load(load_command(listener.url(), {"-c", "1", "--idle", "-d", "60", "-j"}));
  EXPECT_EQ(load.wait(), 1) << load.out() << load.err();
  server.join();
  EXPECT_EQ(number(load.out(), "closed"), 1);
  EXPECT_EQ(number(load.out(), "connected_at_end"), 0);
}

}  // namespace
}  // namespace epulse::testing
