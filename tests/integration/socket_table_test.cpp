// What `epulse stat --sockets` prints.
#include <fmt/format.h>
#include <sys/epoll.h>

#include <regex>
#include <string>

#include "tests/integration/sockets.hpp"

namespace epulse::test {
namespace {

TEST_F(Sockets, StatShowsTheWorstAndTheWholeRun) {
  constexpr int kBuffer = 4096;
  const Socket sender(AF_INET, SOCK_DGRAM);
  const Socket receiver(AF_INET, SOCK_DGRAM);
  const uint16_t port = bind_to_loopback(receiver.fd());
  set_receive_buffer(receiver.fd(), kBuffer);
  Child<int> child([](int& epoll) { epoll = epoll_create1(0); });
  ASSERT_TRUE(child.work());
  Program stat({EPULSE, "stat", "-p", std::to_string(child.pid()), "--sockets", "1", "2"});
  ASSERT_TRUE(eventually([&] { return !stat.out().empty(); })) << stat.err();
  send_datagrams(sender.fd(), loopback(port), 997);
  ASSERT_EQ(stat.wait(), 0) << stat.err();
  const int lost = 997 - drain(receiver.fd());
  const std::string text = stat.out();
  // Of 8 KB of memory some 7 are taken; lost ones are seen as drops and by the tracepoint.
  const std::regex row(
      fmt::format("{} udp +on 127.0.0.1:{} +\\d.\\d\\dK / 8.00K +\\d+% .* {} +{} +0\n",
                  receiver.fd(), port, lost, lost));
  EXPECT_TRUE(std::regex_search(text, row)) << text;
  EXPECT_NE(text.find(fmt::format("   {} drops\n   receive queue full: {}, ", lost, lost)),
            std::string::npos)
      << text;
}

}  // namespace
}  // namespace epulse::test
