#include "agent/tuners/host_advice.hpp"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "agent/kernel/host_settings.hpp"
#include "tests/agent/temp_dir.hpp"

namespace epulse::tuners {
namespace {

using model::HostFacts;

// A healthy server; all counters at `look` times what passes between two looks.
HostFacts healthy(uint64_t look) {
  HostFacts facts;
  facts.process = "nginx[4711]";
  facts.pid = 4711;
  facts.settings = {.somaxconn = 4096,
                    .tcp_rmem = {{4096, 131072, 6291456}},
                    .tcp_wmem = {{4096, 16384, 4194304}},
                    .congestion_control = "cubic",
                    .congestion_controls = {"reno", "cubic", "bbr"},
                    .busy_poll_us = 0,
                    .busy_read_us = 0};
  facts.listen = {100, 100};
  facts.network.listeners.push_back({.fd = 6, .inode = 60, .queued = 0, .backlog = 511});
  for (int i = 0; i < 4; ++i) {
    model::ConnectionSample one;
    one.socket.fd = 10 + i;
    one.socket.inode = 100U + static_cast<uint64_t>(i);
    one.socket.rcvbuf_bytes = 131072;
    one.socket.sndbuf_bytes = 87040;
    one.socket.buffer_lock = 0;
    one.socket.received_bytes = look * 10'000'000;
    one.socket.acked_bytes = look * 10'000'000;
    one.congestion_control = "cubic";
    one.rtt_us = 300;
    one.segments_out = look * 10'000;
    facts.network.connections.push_back(one);
  }
  facts.wakeups = {.deliveries = 50'000, .share = 0.2, .ns_mean = 5'000, .idle_share = 0.7};
  return facts;
}

// What is said of the second look.
template <typename Change>
std::vector<Proposal> said(Change change) {
  HostFacts before = healthy(1);
  HostFacts now = healthy(2);
  change(before, now);
  return advise_host(now, before);
}

TEST(HostAdvice, AHealthyServerOnAHealthyHostIsToldNothing) {
  EXPECT_TRUE(said([](HostFacts&, HostFacts&) {}).empty());
}

TEST(HostAdvice, AQueueThatOverflowedIsNamedWithItsLimit) {
  const auto found = said([](HostFacts&, HostFacts& now) {
    now.listen = {160, 170};
    now.network.listeners[0].drops = 55;
    now.network.listeners[0].queued = 512;
  });
  ASSERT_EQ(found.size(), 1U);
  EXPECT_EQ(found[0].scenario, "host.listen-overflow");
  EXPECT_EQ(found[0].target, "listening socket 6 of nginx[4711]");
  EXPECT_EQ(found[0].evidence,
            "it turned 55 connections away since the last look; 511 connections may wait to be "
            "accepted (its backlog), 512 do now, net.core.somaxconn is 4096; queues of its network "
            "namespace overflowed 60 times");
  EXPECT_EQ(found[0].by_hand,
            "have the server listen() with a backlog of 1024 (nginx: listen ... backlog=1024)")
      << "somaxconn has room for that";
  EXPECT_EQ(found[0].bounds, "up to 65535; advice only");
}

TEST(HostAdvice, SomaxconnIsRaisedWhereItIsTheLimit) {
  const auto overflow = [](HostFacts&, HostFacts& now) {
    now.listen = {160, 170};
    now.network.listeners[0].drops = 55;
    now.settings.somaxconn = 511;
  };
  const auto found = said(overflow);
  ASSERT_EQ(found.size(), 1U);
  EXPECT_EQ(found[0].by_hand.find("sysctl -w net.core.somaxconn=1024; then have the server"), 0U)
      << found[0].by_hand;
  const auto elsewhere = said([&](HostFacts& before, HostFacts& now) {
    overflow(before, now);
    now.own_network = true;
    now.settings = {};
  });
  ASSERT_EQ(elsewhere.size(), 1U);
  EXPECT_EQ(elsewhere[0].by_hand.find("nsenter -t 4711 -n sysctl -w net.core.somaxconn=1024"), 0U);
}

TEST(HostAdvice, OverflowsOfOthersAreNoneOfOurs) {
  EXPECT_TRUE(said([](HostFacts&, HostFacts& now) { now.listen = {160, 170}; }).empty());
  // Turned away for another reason than a full queue.
  EXPECT_TRUE(said([](HostFacts&, HostFacts& now) { now.network.listeners[0].drops = 9; }).empty());
  EXPECT_TRUE(said([](HostFacts& before, HostFacts& now) {
                now.listen = {160, 170};
                now.network.listeners[0].drops = 55;
                before.network.listeners.clear();  // nobody knows since when
              }).empty());
  EXPECT_TRUE(said([](HostFacts&, HostFacts& now) {
                now.listen = {160, 170};
                now.network.listeners[0] = {6, 60, 0, 65535, 55};
              }).empty())
      << "as large as it may become";
}

TEST(HostAdvice, BuffersAtTheMostThatTheKernelGives) {
  const auto receive = said([](HostFacts&, HostFacts& now) {
    for (const size_t i : {0U, 1U}) now.network.connections[i].socket.rcvbuf_bytes = 6291456;
  });
  ASSERT_EQ(receive.size(), 1U);
  EXPECT_EQ(receive[0].scenario, "host.receive-buffer-max");
  EXPECT_EQ(receive[0].evidence.find("of 4 connections looked at, 2 have a receive buffer of "
                                     "6291456 bytes"),
            0U)
      << receive[0].evidence;
  EXPECT_EQ(receive[0].by_hand, "sysctl -w net.ipv4.tcp_rmem=\"4096 131072 12582912\"");
  const auto send = said([](HostFacts&, HostFacts& now) {
    now.network.connections[0].socket.sndbuf_bytes = 4194304;
    now.network.connections[0].socket.wmem_queued_bytes = 4'000'000;
  });
  ASSERT_EQ(send.size(), 1U);
  EXPECT_EQ(send[0].scenario, "host.send-buffer-max");
  EXPECT_EQ(send[0].by_hand, "sysctl -w net.ipv4.tcp_wmem=\"4096 16384 8388608\"");
}

TEST(HostAdvice, ALargeBufferIsNotAlwaysTooSmall) {
  const auto with = [](auto change) {
    return said([&](HostFacts& before, HostFacts& now) {
      auto& socket = now.network.connections[0].socket;
      socket.rcvbuf_bytes = 6291456;
      change(before, now, socket);
    });
  };
  EXPECT_FALSE(with([](auto&, auto&, auto&) {}).empty()) << "but for what follows";
  EXPECT_TRUE(with([](auto&, auto&, auto& socket) { socket.buffer_lock = 2; }).empty())
      << "its server chose it";
  EXPECT_TRUE(with([](auto&, auto&, auto& socket) { socket.rmem_alloc_bytes = 6'000'000; }).empty())
      << "its server reads slowly";
  EXPECT_TRUE(with([](auto&, auto&, auto& socket) { socket.received_bytes = 10'000'100; }).empty())
      << "next to nothing comes in";
  EXPECT_TRUE(with([](auto& before, auto&, auto&) { before.network.connections.clear(); }).empty())
      << "it is new";
  EXPECT_TRUE(with([](auto&, auto& now, auto& socket) {
                now.settings.tcp_rmem->at(2) = socket.rcvbuf_bytes = 67'108'864;
              }).empty())
      << "the ceiling";
  EXPECT_TRUE(with([](auto&, auto& now, auto&) { now.settings.tcp_rmem.reset(); }).empty());
}

void lossy(HostFacts& now) {
  for (auto& one : now.network.connections) {
    one.rtt_us = 80'000;
    one.retransmits = 250;
  }
}

TEST(HostAdvice, CubicWithLossesOnALongWay) {
  const auto found = said([](HostFacts&, HostFacts& now) { lossy(now); });
  ASSERT_EQ(found.size(), 1U);
  EXPECT_EQ(found[0].scenario, "host.congestion-control");
  EXPECT_EQ(found[0].evidence,
            "4 connections with cubic and a round trip of 80 ms (mean; 50 ms or more each) sent "
            "2.5 % of 40000 segments again (limit 1 %)");
  EXPECT_EQ(found[0].by_hand,
            "sysctl -w net.core.default_qdisc=fq net.ipv4.tcp_congestion_control=bbr, for new "
            "connections of every program");
}

TEST(HostAdvice, BbrIsNotToldWhere) {
  const auto with = [](auto change) {
    return said([&](HostFacts&, HostFacts& now) {
      lossy(now);
      change(now);
    });
  };
  EXPECT_TRUE(with([](HostFacts& now) { now.settings.congestion_controls = {"cubic"}; }).empty())
      << "it is not available";
  EXPECT_TRUE(with([](HostFacts& now) { now.settings.congestion_control = "bbr"; }).empty())
      << "it is chosen already";
  EXPECT_TRUE(with([](HostFacts& now) {
                for (auto& one : now.network.connections) one.congestion_control = "bbr";
              }).empty());
  EXPECT_TRUE(with([](HostFacts& now) {
                for (auto& one : now.network.connections) one.rtt_us = 20'000;
              }).empty())
      << "the way is short";
  EXPECT_TRUE(with([](HostFacts& now) {
                for (auto& one : now.network.connections) one.retransmits = 50;
              }).empty())
      << "few losses";
  EXPECT_TRUE(with([](HostFacts& now) {
                for (auto& one : now.network.connections) one.segments_out = 10'100;
              }).empty())
      << "too few segments to tell";
}

TEST(HostAdvice, BusyPollWhereACardCanBePolled) {
  const auto wakes = [](HostFacts&, HostFacts& now) {
    now.wakeups = {.deliveries = 50'000, .share = 0.8, .ns_mean = 60'000, .idle_share = 0.7};
    now.network.connections[1].napi_id = 8193;
  };
  const auto found = said(wakes);
  ASSERT_EQ(found.size(), 1U);
  EXPECT_EQ(found[0].scenario, "host.busy-poll");
  EXPECT_EQ(found[0].by_hand, "sysctl -w net.core.busy_poll=50 net.core.busy_read=50");
  EXPECT_NE(found[0].evidence.find("80 % of the time"), std::string::npos) << found[0].evidence;
  const auto with = [&](auto change) {
    return said([&](HostFacts& before, HostFacts& now) {
      wakes(before, now);
      change(now);
    });
  };
  EXPECT_TRUE(with([](HostFacts& now) { now.network.connections[1].napi_id = 0; }).empty())
      << "as on loopback";
  EXPECT_TRUE(with([](HostFacts& now) { now.settings.busy_poll_us = 50; }).empty());
  EXPECT_TRUE(with([](HostFacts& now) { now.settings.busy_poll_us.reset(); }).empty());
  EXPECT_TRUE(with([](HostFacts& now) { now.wakeups.idle_share = 0.2; }).empty());
  EXPECT_TRUE(with([](HostFacts& now) { now.wakeups.share = 0.3; }).empty());
  EXPECT_TRUE(with([](HostFacts& now) { now.wakeups.ns_mean = 8'000; }).empty());
  EXPECT_TRUE(with([](HostFacts& now) { now.wakeups.deliveries = 500; }).empty());
}

TEST(HostAdvice, IsSaidOnceThatItHasHeldForThreeLooks) {
  HostAdvice advice;
  std::vector<uint64_t> news;
  for (uint64_t look = 1; look <= 10; ++look) {
    HostFacts facts = healthy(look);
    facts.listen = {look * 10, look * 10};
    facts.network.listeners[0].drops = look * 5;
    const Findings found = advice.step(facts, look * 10'000'000'000);
    if (!found.news.empty()) news.push_back(look);
    EXPECT_EQ(found.standing.size(), look > 4 ? 1U : 0U);
  }
  EXPECT_EQ(news, std::vector<uint64_t>{4}) << "the first look has none to compare with";
}

void put(const std::string& path, const std::string& text) {
  std::filesystem::create_directories(std::filesystem::path(path).parent_path());
  std::ofstream(path) << text;
}

TEST(HostSettings, AreReadFromProc) {
  const TempDir dir;
  const std::string& proc = dir.path();
  put(proc + "/sys/net/core/somaxconn", "4096\n");
  put(proc + "/sys/net/core/busy_poll", "0\n");
  put(proc + "/sys/net/ipv4/tcp_rmem", "4096\t131072\t6291456\n");
  put(proc + "/sys/net/ipv4/tcp_wmem", "nonsense\n");
  put(proc + "/sys/net/ipv4/tcp_congestion_control", "cubic\n");
  put(proc + "/sys/net/ipv4/tcp_available_congestion_control", "reno cubic bbr\n");
  put(proc + "/7/net/netstat",
      "TcpExt: SyncookiesSent ListenOverflows ListenDrops TCPHPHits\n"
      "TcpExt: 1 22 333 4444\nIpExt: InNoRoutes ListenDrops\nIpExt: 5 6\n");
  put(proc + "/8/net/netstat", "TcpExt: ListenOverflows\n");
  const model::HostSettings settings = kernel::host_settings(proc);
  EXPECT_EQ(settings.somaxconn, 4096U);
  EXPECT_EQ(settings.busy_poll_us, 0U);
  EXPECT_FALSE(settings.busy_read_us);
  EXPECT_EQ(settings.tcp_rmem.value().at(2), 6291456U);
  EXPECT_FALSE(settings.tcp_wmem);
  EXPECT_EQ(settings.congestion_control, "cubic");
  EXPECT_EQ(settings.congestion_controls, (std::vector<std::string>{"reno", "cubic", "bbr"}));
  EXPECT_EQ(kernel::listen_counters(7, proc).value().overflows, 22U);
  EXPECT_EQ(kernel::listen_counters(7, proc).value().drops, 333U);
  EXPECT_FALSE(kernel::listen_counters(8, proc));
  EXPECT_FALSE(kernel::listen_counters(9, proc));
  EXPECT_TRUE(kernel::listen_counters(getpid())) << "the kernel's own form";
}

}  // namespace
}  // namespace epulse::tuners
