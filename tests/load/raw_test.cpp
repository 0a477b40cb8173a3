// The load generator without WebSocket (tcp://), against servers that echo, or do not.
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <span>
#include <string>
#include <vector>

#include "tests/load/load_child.hpp"
#include "tests/server/child.hpp"
#include "tests/server/test_client.hpp"

namespace epulse::testing {
namespace {

// Takes one connection that epulse-load opens with tcp://: its request goes back as it is.
int accept_raw(const Listener& listener) {
  const int fd = listener.accept_one();
  std::string request(4096, '\0');
  const ssize_t n = recv(fd, request.data(), request.size(), 0);
  if (n > 0) send(fd, request.data(), static_cast<std::size_t>(n), MSG_NOSIGNAL);
  return fd;
}

TEST(Raw, ABatchLeavesInOnePieceOnceTheLastIsAnswered) {
  constexpr std::size_t kBatchBytes = std::size_t{16} * (6 + 20);
  const Listener listener;
  Child load(load_command(listener.url("tcp"), {"-c", "1", "-d", "0.3", "--pipeline", "16", "-j"}));
  const int fd = accept_raw(listener);
  Bytes batch(65536);
  int batches = 0;
  for (ssize_t n = 0; (n = recv(fd, batch.data(), batch.size(), 0)) > 0; ++batches) {
    ASSERT_EQ(static_cast<std::size_t>(n), kBatchBytes);
    say(fd, std::span(batch).first(kBatchBytes - 1));
    pollfd more{fd, POLLIN, 0};
    if (batches < 3) {
      EXPECT_EQ(poll(&more, 1, 20), 0) << "sent before all was answered";
    }
    say(fd, std::span(batch).subspan(kBatchBytes - 1, 1));
  }
  close(fd);
  ASSERT_EQ(load.wait(), 0) << load.out();
  EXPECT_GT(batches, 3);
  EXPECT_EQ(number(load.out(), "received"), 16 * batches);
}

TEST(Raw, OneWrongByteIsCounted) {
  const Listener listener;
  Child load(load_command(listener.url("tcp"), {"-c", "1", "-r", "101", "-d", "1", "-j"}));
  const int fd = accept_raw(listener);
  Bytes frame(65536);
  int count = 0;
  for (ssize_t n = 0; (n = recv(fd, frame.data(), frame.size(), 0)) > 0;) {
    const auto bytes = static_cast<std::size_t>(n);
    if (++count == 50) frame[bytes - 1] ^= 1U;
    say(fd, std::span(frame).first(bytes));
  }
  close(fd);
  EXPECT_EQ(load.wait(), 1);
  EXPECT_EQ(number(load.out(), "wrong_echo"), 1) << load.out();
}

TEST(Raw, WhatIsNoEchoIsRefused) {
  ServerChild server;
  Child load(load_command("tcp" + server.url().substr(2), {"-c", "1", "-d", "1"}));
  EXPECT_EQ(load.wait(), 2);
  EXPECT_NE(load.err().find("does the server echo all that it receives?"), std::string::npos)
      << load.err();
}

// The bare loops of tools/bench: their figures are worth something only if they echo.
void load_bare_echo(const char* program) {
  Child bare({program, "0"});
  const std::string line = bare.read_line();
  const std::size_t colon = line.rfind(':');
  if (line.empty()) {
    bare.wait();
    GTEST_SKIP() << bare.err();
  }
  const std::string url = "tcp://127.0.0.1" + line.substr(colon);
  for (const std::vector<std::string>& options : {std::vector<std::string>{"-c", "100"},
                                                  {"-c", "100", "--pipeline", "16"},
                                                  {"-c", "50", "-s", "16384"},
                                                  {"-c", "20", "--handshakes"}}) {
    std::vector<std::string> all = {"-d", "0.3", "-j"};
    all.insert(all.end(), options.begin(), options.end());
    Child load(load_command(url, all));
    ASSERT_EQ(load.wait(), 0) << load.out() << load.err() << bare.err_so_far();
    EXPECT_GT(number(load.out(), "received"), 100);
    EXPECT_EQ(number(load.out(), "received"), number(load.out(), "sent"));
  }
}

TEST(BareEcho, Epoll) {
  load_bare_echo(EPULSE_BARE_EPOLL_PATH);
}

// Skipped where the kernel is older than 6.12, or a policy refuses io_uring.
TEST(BareEcho, Uring) {
  load_bare_echo(EPULSE_BARE_URING_PATH);
}

}  // namespace
}  // namespace epulse::testing
