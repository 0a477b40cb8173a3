#include "agent/model/socket_pressure.hpp"

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include "agent/model/socket_text.hpp"

namespace epulse::model {
namespace {

socket_record socket_of(int fd, uint32_t receive_bytes = 0, uint32_t send_bytes = 0,
                        uint32_t drops = 0) {
  socket_record socket{};
  socket.fd = fd;
  socket.socket_id = 0xffff0000U + static_cast<uint64_t>(fd);
  socket.inode = 1000 + static_cast<uint64_t>(fd);
  socket.known = 1;
  socket.receive_bytes = receive_bytes;
  socket.rcvbuf_bytes = 1000;
  socket.send_bytes = send_bytes;
  socket.sndbuf_bytes = 100;
  socket.drops = drops;
  return socket;
}

std::vector<int> fds(const std::vector<socket_record>& sockets) {
  std::vector<int> result;
  result.reserve(sockets.size());
  for (const socket_record& socket : sockets) result.push_back(socket.fd);
  return result;
}

const std::vector<socket_record> kSockets = {socket_of(3, 100, 99, 1), socket_of(4, 1100),
                                             socket_of(5, 0, 50, 7),   socket_of(6),
                                             socket_of(7, 100),        socket_of(8, 500, 0, 7)};

TEST(SocketPressure, WorstComeFirstAndIdleOnesNot) {
  EXPECT_EQ(fds(worst(kSockets, SocketOrder::kReceiveFill, 9)), (std::vector{4, 8, 3, 7}));
  EXPECT_EQ(fds(worst(kSockets, SocketOrder::kReceiveFill, 2)), (std::vector{4, 8}));
  EXPECT_EQ(fds(worst(kSockets, SocketOrder::kSendFill, 9)), (std::vector{3, 5}));
  EXPECT_EQ(fds(worst(kSockets, SocketOrder::kDrops, 9)), (std::vector{5, 8, 3}));
  EXPECT_TRUE(worst(kSockets, SocketOrder::kDrops, 0).empty());
  EXPECT_TRUE(worst({}, SocketOrder::kDrops, 5).empty());
}

TEST(SocketPressure, WorstOfAllNamesEachOnceByItsFullerQueue) {
  EXPECT_EQ(fds(worst_of_all(kSockets, 1)), (std::vector{4, 3, 5}));
  EXPECT_EQ(fds(worst_of_all(kSockets, 9)), (std::vector{4, 3, 5, 8, 7}));
}

TEST(SocketPressure, FillIsMemoryOverLimit) {
  EXPECT_DOUBLE_EQ(receive_fill(socket_of(3, 1100)), 1.1);
  EXPECT_DOUBLE_EQ(send_fill(socket_of(3, 0, 25)), 0.25);
  socket_record unlimited = socket_of(3, 10, 10);
  unlimited.rcvbuf_bytes = unlimited.sndbuf_bytes = 0;
  EXPECT_DOUBLE_EQ(receive_fill(unlimited), 0);
  EXPECT_DOUBLE_EQ(send_fill(unlimited), 0);
}

TEST(SocketPressure, ADuplicatedDescriptorCountsOnce) {
  socket_record duplicate = socket_of(3, 100);
  duplicate.fd = 9;
  const auto sockets = without_duplicates({socket_of(3, 100), socket_of(4, 10), duplicate});
  EXPECT_EQ(fds(sockets), (std::vector{3, 4}));
  EXPECT_EQ(totals(sockets).sockets, 2U);
  EXPECT_EQ(totals(sockets).receive_bytes, 110U);
}

TEST(SocketPressure, TotalsSayHowManyHaveNoCounters) {
  std::vector<socket_record> sockets = kSockets;
  sockets[1].known = 0;
  EXPECT_EQ(totals(sockets).unknown, 1U);
  EXPECT_EQ(totals(sockets).drops, 15U);
  EXPECT_EQ(totals(sockets).send_bytes, 149U);
}

SocketPressure pass(std::vector<socket_record> sockets, uint64_t queue_full,
                    uint64_t unattributed) {
  SocketPressure pressure;
  pressure.sockets = std::move(sockets);
  pressure.events[SOCKET_EVENT_QUEUE_FULL] = queue_full;
  pressure.unattributed[SOCKET_EVENT_QUEUE_FULL] = unattributed;
  return pressure;
}

TEST(SocketIntervals, HoldWhatHappenedSince) {
  socket_record socket = socket_of(3, 100, 0, 5);
  socket.queue_full = 2;
  SocketIntervals intervals(pass({socket}, 2, 10));
  socket.drops = 9;
  socket.queue_full = 6;
  socket.limit_hits = 1;
  socket.receive_bytes = 300;
  const SocketPressure interval = intervals.advance(pass({socket}, 6, 11));
  EXPECT_EQ(interval.sockets[0].drops, 4U);
  EXPECT_EQ(interval.sockets[0].queue_full, 4U);
  EXPECT_EQ(interval.sockets[0].limit_hits, 1U);
  EXPECT_EQ(interval.sockets[0].receive_bytes, 300U);
  EXPECT_EQ(interval.events[SOCKET_EVENT_QUEUE_FULL], 4U);
  EXPECT_EQ(interval.unattributed[SOCKET_EVENT_QUEUE_FULL], 1U);
}

TEST(SocketIntervals, ANewSocketAtTheSameAddressStartsAfresh) {
  SocketIntervals intervals(pass({socket_of(3, 0, 0, 50)}, 0, 0));
  socket_record reused = socket_of(3, 0, 0, 2);
  reused.inode += 1;
  EXPECT_EQ(intervals.advance(pass({reused}, 0, 0)).sockets[0].drops, 2U);
}

TEST(SocketIntervals, DropsMayWrap) {
  SocketIntervals intervals(pass({socket_of(3, 0, 0, 0xfffffffe)}, 0, 0));
  EXPECT_EQ(intervals.advance(pass({socket_of(3, 0, 0, 3)}, 0, 0)).sockets[0].drops, 5U);
}

TEST(SocketRun, KeepsTheWorstAndTheSum) {
  SocketRun run;
  run.add(pass({socket_of(3, 900, 0, 1), socket_of(4, 0, 10)}, 3, 1));
  run.add(pass({socket_of(3, 100, 50, 2)}, 4, 0));
  EXPECT_EQ(run.events()[SOCKET_EVENT_QUEUE_FULL], 7U);
  EXPECT_EQ(run.unattributed()[SOCKET_EVENT_QUEUE_FULL], 1U);
  EXPECT_EQ(run.drops(), 3U);
  EXPECT_EQ(run.most().sockets, 2U);
  EXPECT_EQ(run.most().receive_bytes, 900U);
  EXPECT_EQ(run.most().send_bytes, 50U);
  EXPECT_DOUBLE_EQ(run.receive_fill_max(), 0.9);
  EXPECT_DOUBLE_EQ(run.send_fill_max(), 0.5);
}

TEST(SocketText, KindsAndPeers) {
  socket_record socket{};
  socket.family = AF_INET;
  socket.type = SOCK_STREAM;
  socket.protocol = IPPROTO_TCP;
  socket.local_port = 80;
  socket.local_address[0] = 127;
  socket.local_address[3] = 1;
  socket.state = TCP_LISTEN;
  EXPECT_EQ(kind_text(socket), "tcp listen");
  EXPECT_EQ(local_text(socket), "127.0.0.1:80");
  EXPECT_EQ(peer_text(socket), "-");
  socket.family = AF_INET6;
  socket.protocol = IPPROTO_UDP;
  socket.remote_port = 53;
  socket.remote_address[15] = 1;
  EXPECT_EQ(kind_text(socket), "udp6");
  EXPECT_EQ(peer_text(socket), "[::1]:53");
  socket.family = AF_UNIX;
  socket.type = SOCK_SEQPACKET;
  EXPECT_EQ(kind_text(socket), "unix seqpacket");
  EXPECT_EQ(local_text(socket), "-");
}

TEST(SocketText, Bytes) {
  EXPECT_EQ(bytes_text(0), "0B");
  EXPECT_EQ(bytes_text(1023), "1023B");
  EXPECT_EQ(bytes_text(212'992), "208K");
  EXPECT_EQ(bytes_text(2304), "2.25K");
  EXPECT_EQ(bytes_text(6'291'456), "6.00M");
}

}  // namespace
}  // namespace epulse::model
