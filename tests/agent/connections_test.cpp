#include "agent/kernel/connections.hpp"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>

#include "agent/kernel/host_settings.hpp"
#include "common/unique_fd.hpp"
#include "tests/agent/temp_dir.hpp"

namespace epulse::kernel {
namespace {

// A connection to ourselves; the server's end accepts on `listen_at`, the client comes by `family`.
struct Connection {
  UniqueFd listener;
  UniqueFd client;
  UniqueFd server;
  uint16_t port = 0;
  uint16_t client_port = 0;
};

Connection connect_to_ourselves(bool dual_stack) {
  Connection result;
  const int family = dual_stack ? AF_INET6 : AF_INET;
  result.listener = UniqueFd(socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in6 any{AF_INET6, 0, 0, IN6ADDR_ANY_INIT, 0};
  sockaddr_in loopback{AF_INET, 0, {htonl(INADDR_LOOPBACK)}, {}};
  sockaddr* const address =
      dual_stack ? reinterpret_cast<sockaddr*>(&any) : reinterpret_cast<sockaddr*>(&loopback);
  socklen_t size = dual_stack ? sizeof any : sizeof loopback;
  const int off = 0;
  if (dual_stack) {
    setsockopt(result.listener.get(), IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
  }
  EXPECT_EQ(bind(result.listener.get(), address, size), 0);
  EXPECT_EQ(listen(result.listener.get(), 1), 0);
  EXPECT_EQ(getsockname(result.listener.get(), address, &size), 0);
  result.port = ntohs(dual_stack ? any.sin6_port : loopback.sin_port);
  sockaddr_in server{AF_INET, htons(result.port), {htonl(INADDR_LOOPBACK)}, {}};
  result.client = UniqueFd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  EXPECT_EQ(connect(result.client.get(), reinterpret_cast<sockaddr*>(&server), sizeof server), 0);
  sockaddr_in local{};
  size = sizeof local;
  EXPECT_EQ(getsockname(result.client.get(), reinterpret_cast<sockaddr*>(&local), &size), 0);
  result.client_port = ntohs(local.sin_port);
  result.server = UniqueFd(accept4(result.listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
  return result;
}

TEST(Connections, WhatAnEpollWatchesIsFoundByItsEnds) {
  for (const bool dual_stack : {false, true}) {
    const Connection connection = connect_to_ourselves(dual_stack);
    const UniqueFd epoll(epoll_create1(EPOLL_CLOEXEC));
    EXPECT_TRUE(watched_inodes(getpid(), epoll.get()).empty());
    epoll_event event{};
    ASSERT_EQ(epoll_ctl(epoll.get(), EPOLL_CTL_ADD, connection.server.get(), &event), 0);
    ASSERT_EQ(epoll_ctl(epoll.get(), EPOLL_CTL_ADD, connection.listener.get(), &event), 0);
    const auto inodes = watched_inodes(getpid(), epoll.get());
    EXPECT_EQ(inodes.size(), 2U);
    EXPECT_EQ(socket_inodes(getpid()).size(), 3U);
    const auto connections = tcp_connections(getpid(), inodes);
    std::vector<TcpEnds> found;
    for (const uint64_t inode : inodes) {
      const auto ends = connections.find(inode);
      if (ends != connections.end()) found.push_back(ends->second);
    }
    ASSERT_EQ(found.size(), 1U) << "the listener is no connection";
    EXPECT_EQ(found[0].local, fmt::format("127.0.0.1:{}", connection.port));
    EXPECT_EQ(found[0].peer, fmt::format("127.0.0.1:{}", connection.client_port));
  }
}

TEST(Connections, OfTablesAsTheKernelWritesThem) {
  const TempDir proc;
  std::filesystem::create_directories(proc.file("7/net"));
  write_text(proc.file("7/net/tcp"),
             "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  "
             "timeout inode\n"
             "   0: 0100007F:2329 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0    "
             "    0 11 1 0\n"
             "   1: 0100007F:2329 0200007F:D2FC 01 00000000:00000000 00:00000000 00000000     0    "
             "    0 12 1 0\n"
             "   2: malformed\n"
             "   3: 0100007F:2329 0200007F:D2FD 06 00000000:00000000 03:00001000 00000000     0    "
             "    0 0 3 0\n");
  write_text(proc.file("7/net/tcp6"),
             "head\n"
             "   0: 00000000000000000000000001000000:2329 "
             "B80D01200000000000000000FF000000:D2FE 01 0:0 00:0 0 0 0 13 1 0\n");
  const auto connections = tcp_connections(7, {11, 12, 13}, proc.path());
  ASSERT_EQ(connections.size(), 2U) << "neither listeners nor what nobody owns";
  EXPECT_EQ(connections.at(12), (TcpEnds{"127.0.0.1:9001", "127.0.0.2:54012"}));
  EXPECT_EQ(connections.at(13), (TcpEnds{"[::1]:9001", "[2001:db8::ff]:54014"}));
  EXPECT_TRUE(tcp_connections(8, {11}, proc.path()).empty());
  EXPECT_EQ(tcp_connections(7, {12}, proc.path()).size(), 1U) << "what was asked for";
  EXPECT_TRUE(watched_inodes(8, 3, proc.path()).empty());
  EXPECT_TRUE(socket_inodes(8, proc.path()).empty());
  EXPECT_EQ(network_namespace(8, proc.path()), 0U);
  EXPECT_EQ(network_namespace(getpid()), network_namespace(getppid()));
}

// Nor does a process that is gone have a network of its own.
TEST(Connections, AnotherNetworkNamespaceIsTold) {
  EXPECT_FALSE(has_own_network(getpid()));
  EXPECT_FALSE(has_own_network(-1));
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    if (unshare(CLONE_NEWNET) != 0) _exit(1);
    raise(SIGSTOP);
    _exit(0);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, WUNTRACED), child);
  if (!WIFSTOPPED(status)) GTEST_SKIP() << "cannot make a network namespace; run as root";
  EXPECT_TRUE(has_own_network(child));
  kill(child, SIGKILL);
  EXPECT_EQ(waitpid(child, &status, 0), child);
}

}  // namespace
}  // namespace epulse::kernel
