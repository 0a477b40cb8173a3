// The socket probe against sockets whose queues hold exactly known amounts.
#include <linux/sockios.h>
#include <net/if.h>
#include <netinet/ip_icmp.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <set>
#include <string>
#include <thread>
#include <tuple>
#include <utility>
#include <vector>

#include "tests/integration/sockets.hpp"

namespace epulse::test {
namespace {

constexpr int kSmallBuffer = 4096;
constexpr int kDatagrams = 997;

int value_of(int fd, unsigned long request) {
  int value = -1;
  ioctl(fd, request, &value);
  return value;
}

struct TcpPair {
  Socket near;
  Socket far;
};

TcpPair tcp_pair() {
  const Socket listener(AF_INET, SOCK_STREAM);
  const sockaddr_in address = loopback(bind_to_loopback(listener.fd()));
  EXPECT_EQ(listen(listener.fd(), 1), 0);
  Socket far(AF_INET, SOCK_STREAM);
  EXPECT_EQ(connect(far.fd(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)), 0);
  return {Socket(accept(listener.fd(), nullptr, nullptr)), std::move(far)};
}

void expect_buffers(const socket_record& socket, int fd) {
  const auto memory = meminfo(fd);
  EXPECT_EQ(socket.receive_bytes, memory[SK_MEMINFO_RMEM_ALLOC]);
  EXPECT_EQ(socket.rcvbuf_bytes, memory[SK_MEMINFO_RCVBUF]);
  EXPECT_EQ(socket.sndbuf_bytes, memory[SK_MEMINFO_SNDBUF]);
  EXPECT_EQ(socket.drops, memory[SK_MEMINFO_DROPS]);
}

// Loopback delivers in softirq, which may lag behind the sender on a busy machine.
bool settled(int receiver) {
  return eventually([&] {
    const auto before = meminfo(receiver);
    usleep(20'000);
    return before == meminfo(receiver) && before[SK_MEMINFO_RMEM_ALLOC] != 0;
  });
}

class QueueFull : public Sockets {
 protected:
  // Overflows the child's copy of `receiver` with datagrams that are either queued or lost.
  void expect_losses_counted(const Socket& receiver, const Socket& sender, const sockaddr_in& to) {
    set_receive_buffer(receiver.fd(), kSmallBuffer);
    Child<int> child(nothing);
    probes::SocketProbe probe({.tgid = child.pid()}, facts_);
    send_datagrams(sender.fd(), to, kDatagrams);
    ASSERT_TRUE(settled(receiver.fd()));
    const model::SocketPressure pressure = probe.read();
    const socket_record* socket = find(pressure, receiver.fd());
    ASSERT_NE(socket, nullptr);
    expect_buffers(*socket, receiver.fd());
    EXPECT_GT(model::receive_fill(*socket), 0.8);
    const int received = drain(receiver.fd());
    ASSERT_GT(received, 0);
    const auto lost = static_cast<uint64_t>(kDatagrams - received);
    EXPECT_EQ(socket->drops, lost);
    EXPECT_EQ(socket->queue_full, lost);
    EXPECT_EQ(pressure.events[SOCKET_EVENT_QUEUE_FULL], lost);
    EXPECT_EQ(find(probe.read(), receiver.fd())->receive_bytes, 0U);
  }
};

TEST_F(QueueFull, OfUdpIsEveryDatagramLost) {
  const Socket receiver(AF_INET, SOCK_DGRAM);
  const Socket sender(AF_INET, SOCK_DGRAM);
  expect_losses_counted(receiver, sender, loopback(bind_to_loopback(receiver.fd())));
}

// A socket that pings, in a network namespace of its own, where that may be allowed to all; -1
// where it is refused.
int ping_socket() {
  if (unshare(CLONE_NEWNET) != 0) return -1;
  const Socket control(AF_INET, SOCK_DGRAM);
  ifreq loopback_up{};
  strcpy(loopback_up.ifr_name, "lo");
  loopback_up.ifr_flags = IFF_UP;
  if (ioctl(control.fd(), SIOCSIFFLAGS, &loopback_up) != 0) return -1;
  std::ofstream("/proc/sys/net/ipv4/ping_group_range") << "0 2147483647" << std::flush;
  return socket(AF_INET, SOCK_DGRAM, IPPROTO_ICMP);
}

// ICMP queues by sock_queue_rcv_skb(), as most but UDP, TCP and unix sockets do.
TEST_F(QueueFull, OfAPingSocketIsEveryAnswerLost) {
  Child<int> child([](int& fd) { fd = ping_socket(); });
  ASSERT_TRUE(child.work());
  if (child.result() < 0) GTEST_SKIP() << "no network namespace can be made here";
  const Socket ping = socket_of(child.pid(), child.result());
  set_receive_buffer(ping.fd(), kSmallBuffer);
  probes::SocketProbe probe({.tgid = child.pid()}, facts_);
  const icmphdr echo = {ICMP_ECHO, 0, 0, {}};
  const sockaddr_in to = loopback();
  for (int i = 0; i < kDatagrams; ++i) {
    ASSERT_EQ(sendto(ping.fd(), &echo, sizeof(echo), 0, reinterpret_cast<const sockaddr*>(&to),
                     sizeof(to)),
              static_cast<ssize_t>(sizeof(echo)));
  }
  ASSERT_TRUE(settled(ping.fd()));
  const model::SocketPressure pressure = probe.read();
  const auto lost = static_cast<uint64_t>(kDatagrams - drain(ping.fd()));
  ASSERT_LT(lost, static_cast<uint64_t>(kDatagrams));
  const socket_record* socket = find(pressure, child.result());
  ASSERT_NE(socket, nullptr);
  EXPECT_EQ(socket->queue_full, lost);
  EXPECT_EQ(pressure.events[SOCKET_EVENT_QUEUE_FULL], lost);
}

TEST_F(QueueFull, OfAnUnknownSocketIsNotAttributed) {
  const Socket sender(AF_INET, SOCK_DGRAM);
  Child<int> child(nothing);
  const Socket ours(AF_INET, SOCK_DGRAM);  // after the fork
  set_receive_buffer(ours.fd(), kSmallBuffer);
  probes::SocketProbe probe({.tgid = child.pid()}, facts_);
  const model::SocketPressure before = probe.read();
  send_datagrams(sender.fd(), loopback(bind_to_loopback(ours.fd())), kDatagrams);
  ASSERT_TRUE(settled(ours.fd()));
  const model::SocketPressure after = probe.read();
  const auto lost = static_cast<uint64_t>(kDatagrams - drain(ours.fd()));
  EXPECT_GT(lost, 0U);
  EXPECT_EQ(find(after, ours.fd()), nullptr);
  EXPECT_EQ(after.events[SOCKET_EVENT_QUEUE_FULL], 0U);
  // Others on this host may lose some, too.
  EXPECT_GE(
      after.unattributed[SOCKET_EVENT_QUEUE_FULL] - before.unattributed[SOCKET_EVENT_QUEUE_FULL],
      lost);
}

TEST_F(QueueFull, OfASocketThatTheTargetClosedIsNotAttributed) {
  const Socket sender(AF_INET, SOCK_DGRAM);
  const Socket receiver(AF_INET, SOCK_DGRAM);
  const sockaddr_in to = loopback(bind_to_loopback(receiver.fd()));
  set_receive_buffer(receiver.fd(), kSmallBuffer);
  Child<int> child([&](int&) { close(receiver.fd()); });
  probes::SocketProbe probe({.tgid = child.pid()}, facts_);
  send_datagrams(sender.fd(), to, kDatagrams);
  ASSERT_TRUE(settled(receiver.fd()));
  const uint64_t known = probe.read().events[SOCKET_EVENT_QUEUE_FULL];
  EXPECT_GT(known, 0U);
  ASSERT_TRUE(child.work());
  const model::SocketPressure closed = probe.read();
  EXPECT_EQ(find(closed, receiver.fd()), nullptr);
  send_datagrams(sender.fd(), to, kDatagrams);
  ASSERT_TRUE(settled(receiver.fd()));
  const model::SocketPressure after = probe.read();
  EXPECT_EQ(after.events[SOCKET_EVENT_QUEUE_FULL], known);
  EXPECT_GE(after.unattributed[SOCKET_EVENT_QUEUE_FULL], kDatagrams);
}

struct Late {
  int fd;
  uint16_t port;
};

TEST_F(QueueFull, OfALaterSocketCountsFromTheNextRead) {
  const Socket sender(AF_INET, SOCK_DGRAM);
  Child<Late> child([](Late& late) {
    late.fd = socket(AF_INET, SOCK_DGRAM, 0);
    set_receive_buffer(late.fd, kSmallBuffer);
    late.port = bind_to_loopback(late.fd);
  });
  probes::SocketProbe probe({.tgid = child.pid()}, facts_);
  ASSERT_TRUE(child.work());
  const sockaddr_in to = loopback(child.result().port);
  const auto drops_are = [&](uint32_t least) {
    return eventually([&] { return find(probe.read(), child.result().fd)->drops >= least; });
  };
  // Nobody reads: what is lost of the first lot stays unattributed, of the second all is lost.
  send_datagrams(sender.fd(), to, kDatagrams);
  ASSERT_TRUE(drops_are(kDatagrams / 2));
  usleep(50'000);
  const socket_record first = *find(probe.read(), child.result().fd);
  send_datagrams(sender.fd(), to, kDatagrams);
  ASSERT_TRUE(drops_are(first.drops + kDatagrams));
  const model::SocketPressure after = probe.read();
  const socket_record* second = find(after, child.result().fd);
  EXPECT_EQ(second->drops - first.drops, static_cast<uint32_t>(kDatagrams));
  EXPECT_EQ(second->queue_full - first.queue_full, static_cast<uint64_t>(kDatagrams));
  EXPECT_LT(first.queue_full, first.drops);
}

TEST_F(Sockets, TcpReceiveQueueIsWhatIsUnread) {
  const TcpPair pair = tcp_pair();
  Child<int> child(nothing);
  probes::SocketProbe probe({.tgid = child.pid()}, facts_);
  std::vector<char> bytes(10'007);
  ASSERT_EQ(write(pair.far.fd(), bytes.data(), bytes.size()), 10'007);
  ASSERT_TRUE(eventually([&] { return value_of(pair.near.fd(), SIOCINQ) == 10'007; }));
  const model::SocketPressure written = probe.read();
  const socket_record* socket = find(written, pair.near.fd());
  ASSERT_NE(socket, nullptr);
  EXPECT_EQ(socket->unread_bytes, 10'007U);
  expect_buffers(*socket, pair.near.fd());
  EXPECT_GE(socket->receive_bytes, 10'007U);
  ASSERT_EQ(read(pair.near.fd(), bytes.data(), 7), 7);
  EXPECT_EQ(find(probe.read(), pair.near.fd())->unread_bytes, 10'000U);
  // The peer's FIN takes a sequence number, and is no byte.
  shutdown(pair.far.fd(), SHUT_WR);
  ASSERT_TRUE(
      eventually([&] { return find(probe.read(), pair.near.fd())->state == TCP_CLOSE_WAIT; }));
  EXPECT_EQ(value_of(pair.near.fd(), SIOCINQ), 10'000);
  EXPECT_EQ(find(probe.read(), pair.near.fd())->unread_bytes, 10'000U);
}

TEST_F(Sockets, TcpSendQueueIsWhatIsUnacknowledged) {
  const TcpPair pair = tcp_pair();
  Child<int> child(nothing);
  probes::SocketProbe probe({.tgid = child.pid()}, facts_);
  const std::vector<char> bytes(100'003);
  while (send(pair.near.fd(), bytes.data(), bytes.size(), MSG_DONTWAIT) > 0) {
  }
  // The receiver's window takes some more for a while: read when it was the same before and after.
  model::SocketPressure full;
  int queued = 0;
  uint32_t memory = 0;
  ASSERT_TRUE(eventually([&] {
    const auto look = [&] {
      return std::pair(value_of(pair.near.fd(), SIOCOUTQ),
                       meminfo(pair.near.fd())[SK_MEMINFO_WMEM_QUEUED]);
    };
    std::tie(queued, memory) = look();
    full = probe.read();
    return queued > 0 && look() == std::pair(queued, memory);
  }));
  const socket_record* socket = find(full, pair.near.fd());
  ASSERT_NE(socket, nullptr);
  EXPECT_EQ(socket->unacked_bytes, static_cast<uint32_t>(queued));
  EXPECT_EQ(socket->send_bytes, memory);
  EXPECT_EQ(socket->sndbuf_bytes, meminfo(pair.near.fd())[SK_MEMINFO_SNDBUF]);
  EXPECT_GT(model::send_fill(*socket), 0.5);
}

TEST_F(Sockets, UnixSendQueueIsWhatThePeerHasNotRead) {
  int fds[2];
  ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
  const Socket near(fds[0]);
  const Socket far(fds[1]);
  Child<int> child(nothing);
  probes::SocketProbe probe({.tgid = child.pid()}, facts_);
  EXPECT_EQ(find(probe.read(), near.fd())->send_bytes, 0U);
  const std::vector<char> bytes(10'007);
  ASSERT_EQ(write(near.fd(), bytes.data(), bytes.size()), 10'007);
  const model::SocketPressure written = probe.read();
  EXPECT_EQ(static_cast<int>(find(written, near.fd())->send_bytes), value_of(near.fd(), SIOCOUTQ));
  EXPECT_GE(find(written, near.fd())->send_bytes, 10'007U);
  EXPECT_EQ(find(written, far.fd())->receive_bytes, 0U);
}

TEST_F(Sockets, WorstComeInTheOrderOfTheirFill) {
  const Socket sender(AF_INET, SOCK_DGRAM);
  std::vector<Socket> receivers;
  const std::vector<int> waiting = {3, 17, 0, 11, 5, 13, 0};
  for (const int count : waiting) {
    const Socket& receiver = receivers.emplace_back(AF_INET, SOCK_DGRAM);
    send_datagrams(sender.fd(), loopback(bind_to_loopback(receiver.fd())), count);
    if (count != 0) {
      ASSERT_TRUE(settled(receiver.fd()));
    }
  }
  Child<int> child(nothing);
  probes::SocketProbe probe({.tgid = child.pid()}, facts_);
  std::vector<int> fds;
  for (const auto& socket :
       model::worst(probe.read().sockets, model::SocketOrder::kReceiveFill, 4)) {
    fds.push_back(socket.fd);
  }
  EXPECT_EQ(fds, (std::vector<int>{receivers[1].fd(), receivers[5].fd(), receivers[3].fd(),
                                   receivers[4].fd()}));
}

std::set<int> socket_descriptors(pid_t pid) {
  std::set<int> fds;
  for (const auto& entry :
       std::filesystem::directory_iterator("/proc/" + std::to_string(pid) + "/fd")) {
    struct stat status {};
    if (stat(entry.path().c_str(), &status) == 0 && S_ISSOCK(status.st_mode)) {
      fds.insert(std::stoi(entry.path().filename()));
    }
  }
  return fds;
}

TEST_F(Sockets, ListedAreTheTargetsAloneAndEachOnce) {
  const TcpPair inherited = tcp_pair();
  Child<int> child([](int& duplicate) {
    for (int i = 0; i < 1'009; ++i) socket(AF_INET6, SOCK_DGRAM, 0);
    duplicate = dup(socket(AF_INET, SOCK_STREAM, 0));
    std::thread([] { pause(); }).detach();
  });
  std::vector<Socket> ours;
  ours.reserve(13);
  for (int i = 0; i < 13; ++i) ours.emplace_back(AF_INET, SOCK_DGRAM);
  probes::SocketProbe probe({.tgid = child.pid()}, facts_);
  ASSERT_TRUE(child.work());
  std::set<int> expected = socket_descriptors(child.pid());
  EXPECT_EQ(expected.erase(child.result()), 1U);
  const model::SocketPressure pressure = probe.read();
  std::set<int> found;
  for (const socket_record& socket : pressure.sockets) {
    EXPECT_TRUE(found.insert(socket.fd).second);
    EXPECT_EQ(socket.known, 1U);
    struct stat status {};
    ASSERT_EQ(
        stat(("/proc/" + std::to_string(child.pid()) + "/fd/" + std::to_string(socket.fd)).c_str(),
             &status),
        0);
    EXPECT_EQ(socket.inode, status.st_ino);
  }
  EXPECT_EQ(found, expected);
}

TEST_F(Sockets, EndpointsAreThoseOfGetsockname) {
  const TcpPair pair = tcp_pair();
  Child<int> child(nothing);
  probes::SocketProbe probe({.tgid = child.pid()}, facts_);
  sockaddr_in local{};
  sockaddr_in peer{};
  socklen_t length = sizeof(local);
  ASSERT_EQ(getsockname(pair.near.fd(), reinterpret_cast<sockaddr*>(&local), &length), 0);
  ASSERT_EQ(getpeername(pair.near.fd(), reinterpret_cast<sockaddr*>(&peer), &length), 0);
  const model::SocketPressure pressure = probe.read();
  const socket_record* socket = find(pressure, pair.near.fd());
  ASSERT_NE(socket, nullptr);
  EXPECT_EQ(socket->family, AF_INET);
  EXPECT_EQ(socket->type, SOCK_STREAM);
  EXPECT_EQ(socket->protocol, IPPROTO_TCP);
  EXPECT_EQ(socket->state, TCP_ESTABLISHED);
  EXPECT_EQ(socket->local_port, ntohs(local.sin_port));
  EXPECT_EQ(socket->remote_port, ntohs(peer.sin_port));
  EXPECT_EQ(memcmp(socket->local_address, &local.sin_addr, 4), 0);
  EXPECT_EQ(memcmp(socket->remote_address, &peer.sin_addr, 4), 0);
}

// The dearer way of reading must find the same.
TEST_F(Sockets, BothWaysOfReadingAgree) {
  if (!facts_.rdonly_cast) GTEST_SKIP() << "this kernel has one alone (no bpf_rdonly_cast)";
  const TcpPair pair = tcp_pair();
  const std::vector<char> bytes(10'007);
  ASSERT_EQ(write(pair.far.fd(), bytes.data(), bytes.size()), 10'007);
  ASSERT_TRUE(eventually([&] { return value_of(pair.near.fd(), SIOCINQ) == 10'007; }));
  Child<int> child(nothing);
  kernel::Facts without = facts_;
  without.rdonly_cast = false;
  probes::SocketProbe fast({.tgid = child.pid()}, facts_);
  probes::SocketProbe slow({.tgid = child.pid()}, without);
  const auto a = fast.read().sockets;
  const auto b = slow.read().sockets;
  ASSERT_EQ(a.size(), b.size());
  for (size_t i = 0; i < a.size(); ++i) EXPECT_EQ(memcmp(&a[i], &b[i], sizeof(a[i])), 0);
}

}  // namespace
}  // namespace epulse::test
