// The program in this kernel, with sockets of the test's own; and the server that uses it.
#include "server/steering/accept_steering.hpp"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <numeric>
#include <optional>
#include <thread>
#include <vector>

#include "bpf/steering.h"
#include "common/unique_fd.hpp"
#include "server/engine/engine.hpp"
#include "tests/agent/temp_dir.hpp"
#include "tests/server/child.hpp"
#include "tests/server/counters.hpp"
#include "tests/server/test_client.hpp"

namespace epulse::testing {
namespace {

using server::AcceptSteering;

// Sockets that share a port, and clients who connect to it.
class Group {
 public:
  explicit Group(std::size_t count) {
    for (std::size_t k = 0; k < count; ++k) add();
  }

  void add() {
    UniqueFd fd(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    const int on = 1;
    setsockopt(fd.get(), SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
    ASSERT_EQ(bind(fd.get(), address(), sizeof address_), 0);
    socklen_t size = sizeof address_;
    ASSERT_EQ(getsockname(fd.get(), address(), &size), 0);
    ASSERT_EQ(listen(fd.get(), 512), 0);
    listeners_.push_back(std::move(fd));
  }
  void close(std::size_t k) { listeners_[k] = UniqueFd(); }

  std::vector<int> sockets() const {
    std::vector<int> all;
    for (const UniqueFd& fd : listeners_) all.push_back(fd.get());
    return all;
  }

  // How many of `count` more connections each listener was given. None is refused.
  std::vector<int> connect(int count) {
    for (int i = 0; i < count; ++i) {
      UniqueFd fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
      EXPECT_EQ(::connect(fd.get(), address(), sizeof address_), 0);
      clients_.push_back(std::move(fd));
    }
    std::vector<int> given;
    for (const UniqueFd& listener : listeners_) given.push_back(accept_all(listener.get()));
    EXPECT_EQ(std::accumulate(given.begin(), given.end(), 0), count);
    return given;
  }

 private:
  sockaddr* address() { return reinterpret_cast<sockaddr*>(&address_); }

  int accept_all(int listener) {
    int accepted = 0;
    if (listener < 0) return 0;
    for (int fd = -1; (fd = accept4(listener, nullptr, nullptr, SOCK_CLOEXEC)) >= 0; ++accepted) {
      clients_.emplace_back(fd);
    }
    return accepted;
  }

  sockaddr_in address_{AF_INET, 0, {htonl(INADDR_LOOPBACK)}, {}};
  std::vector<UniqueFd> listeners_;
  std::vector<UniqueFd> clients_;
};

class Steering : public ::testing::Test {
 protected:
  void SetUp() override {
    if (geteuid() != 0) GTEST_SKIP() << "loading BPF programs needs root";
  }
};

TEST_F(Steering, TheNextGoesToWhoHasTheFewest) {
  Group group(3);
  AcceptSteering steering(group.sockets());
  steering.loads()[0].connections = 100;
  steering.loads()[1].connections = 50;
  EXPECT_EQ(group.connect(30), (std::vector<int>{0, 0, 30}));
  EXPECT_EQ(steering.loads()[2].assigned, 30U);
  steering.loads()[2].connections = 60;
  steering.loads()[2].settled = 30;
  EXPECT_EQ(group.connect(7), (std::vector<int>{0, 7, 0}));
}

// Nobody has accepted any of them yet, and still they are spread.
TEST_F(Steering, ABurstLevelsWhatWasSkewed) {
  Group group(2);
  AcceptSteering steering(group.sockets());
  steering.loads()[0].connections = 60;
  EXPECT_EQ(group.connect(100), (std::vector<int>{20, 80}));
}

TEST_F(Steering, EqualsShareEqually) {
  Group group(4);
  AcceptSteering steering(group.sockets());
  EXPECT_EQ(group.connect(200), (std::vector<int>{50, 50, 50, 50}));
}

TEST_F(Steering, ADeepReadyQueueWeighs) {
  Group group(2);
  AcceptSteering steering(group.sockets());
  steering.loads()[0].connections = 10;
  steering.loads()[0].depth = 9 * STEERING_DEPTH_ONE;
  steering.loads()[1].connections = 50;
  EXPECT_EQ(group.connect(20), (std::vector<int>{0, 20}));
}

TEST_F(Steering, AWorkerThatLeftIsNotChosenAndOneThatJoinsIs) {
  Group group(3);
  AcceptSteering steering(group.sockets());
  group.close(1);
  steering.loads()[0].connections = 1000;
  EXPECT_EQ(group.connect(10), (std::vector<int>{0, 0, 10}));
  EXPECT_EQ(steering.loads()[1].active, 0U);
  group.close(2);
  EXPECT_EQ(group.connect(10), (std::vector<int>{10, 0, 0}));
  steering.detach();
  group.add();
  AcceptSteering more({group.sockets()[0], group.sockets()[3]});
  more.loads()[0].connections = 1000;
  EXPECT_EQ(group.connect(10), (std::vector<int>{0, 0, 0, 10}));
}

TEST_F(Steering, DetachedTheHashChoosesAsIfNothingHadBeen) {
  Group group(2);
  AcceptSteering steering(group.sockets());
  steering.loads()[0].connections = 1000;
  for (int round = 0; round < 3; ++round) {
    EXPECT_EQ(group.connect(64)[0], 0);
    steering.detach();
    const int unused = 0;
    EXPECT_NE(
        setsockopt(group.sockets()[0], SOL_SOCKET, SO_DETACH_REUSEPORT_BPF, &unused, sizeof unused),
        0)
        << "a program is still there";
    const std::vector<int> given = group.connect(64);
    EXPECT_GT(given[0], 0);
    EXPECT_GT(given[1], 0);
    steering.attach();
  }
}

TEST_F(Steering, ASecondOneIsRefusedAndTheFirstGoesOn) {
  Group group(2);
  AcceptSteering first(group.sockets());
  first.loads()[0].connections = 1000;
  const std::string error = error_of([&] { AcceptSteering second(group.sockets()); });
  EXPECT_NE(error.find("another program has these sockets already"), std::string::npos) << error;
  EXPECT_EQ(group.connect(20), (std::vector<int>{0, 20}));
}

TEST_F(Steering, LoadsForAnyNumberOfWorkersUpToItsOwn) {
  for (const std::size_t workers : {1U, 2U, 3U, unsigned{STEERING_WORKERS_MAX}}) {
    Group group(workers);
    AcceptSteering steering(group.sockets());
    const std::vector<int> given = group.connect(static_cast<int>(2 * workers));
    EXPECT_EQ(given, std::vector<int>(workers, 2));
  }
  const std::string error =
      error_of([] { AcceptSteering(std::vector<int>(STEERING_WORKERS_MAX + 1, -1)); });
  EXPECT_NE(error.find("256 at most; give --workers"), std::string::npos) << error;
}

// The server.

std::vector<std::uint64_t> connections(int port) {
  return {stat_of_worker(port, 0, "connections"), stat_of_worker(port, 1, "connections")};
}

// Whoever asks for the counters is steered, too, and may be there still when the next one comes.
bool has_evenly(int port, std::uint64_t all, std::uint64_t apart = 2) {
  const std::vector<std::uint64_t> counted = connections(port);
  const auto [least, most] = std::minmax(counted[0], counted[1]);
  return least + most == all && most - least <= apart;
}

std::string counted(int port) {
  return fmt::format("{}", fmt::join(connections(port), " "));
}

TEST_F(Steering, ConnectionsOfTheServerAreSpreadEvenlyThroughAHotRestart) {
  ServerChild server({"--workers", "2", "--accept-steering", "--linger", "0.1"});
  std::vector<TestClient> clients;
  clients.reserve(40);
  for (int i = 0; i < 40; ++i) clients.push_back(TestClient::open(server.port()));
  EXPECT_TRUE(eventually([&] { return has_evenly(server.port(), 40); })) << counted(server.port());
  server.child().signal(SIGUSR2);
  const Heir heir(server.child().read_line());
  clients.clear();
  EXPECT_EQ(server.child().wait(), 0);
  EXPECT_EQ(server.child().err().find("steer"), std::string::npos) << server.child().err();
  for (int i = 0; i < 40; ++i) clients.push_back(TestClient::open(server.port()));
  EXPECT_TRUE(eventually([&] { return has_evenly(server.port(), 40); })) << counted(server.port());
}

// The successor has taken the sockets for its own steering, and ends: its control socket has no
// directory. The kernel is in no hurry to give them back.
TEST_F(Steering, AHotRestartThatFailsLeavesTheServerItsSteering) {
  const TempDir dir;
  const std::string below = dir.file("gone");
  std::filesystem::create_directory(below);
  ServerChild server({"--workers", "2", "--accept-steering", "--control-socket", below + "/sock"});
  std::filesystem::remove_all(below);
  for (int round = 1; round <= 3; ++round) {
    const auto failures = [&] {
      const std::string said = server.child().err_so_far();
      int count = 0;
      for (std::size_t at = 0; (at = said.find("going on as before", at)) != std::string::npos;
           ++at)
        ++count;
      return count;
    };
    server.child().signal(SIGUSR2);
    ASSERT_TRUE(eventually([&] { return failures() == round; })) << server.child().err_so_far();
    std::vector<TestClient> clients;
    clients.reserve(40);
    ASSERT_TRUE(eventually([&] {
      return connections(server.port()) == std::vector<std::uint64_t>{0, 0};
    }));
    // How deep the queues were meanwhile is forgotten with the next tick.
    std::this_thread::sleep_for(std::chrono::nanoseconds(3 * server::kTickNs));
    for (int i = 0; i < 40; ++i) clients.push_back(TestClient::open(server.port()));
    EXPECT_TRUE(eventually([&] { return has_evenly(server.port(), 40); }))
        << counted(server.port());
    EXPECT_EQ(server.child().err_so_far().find("the kernel's hash"), std::string::npos)
        << server.child().err_so_far();
  }
}

// Those that were closed no longer count: newcomers fill up where places came free.
TEST_F(Steering, NewcomersOfTheServerGoWherePlacesCameFree) {
  ServerChild server({"--workers", "2", "--accept-steering"});
  std::vector<TestClient> stay;
  std::vector<TestClient> go;
  // Whoever asked for the counters before is gone from them.
  const auto on_first_of = [&](std::uint64_t all) {
    std::vector<std::uint64_t> counted;
    EXPECT_TRUE(eventually([&] {
      counted = connections(server.port());
      return counted[0] + counted[1] == all;
    }));
    return counted[0];
  };
  for (std::uint64_t i = 0; i < 40; ++i) {
    const std::uint64_t before = on_first_of(i);
    TestClient client = TestClient::open(server.port());
    const bool first = on_first_of(i + 1) > before;
    (first ? stay : go).push_back(std::move(client));
  }
  go.clear();
  EXPECT_TRUE(eventually([&] { return connections(server.port())[1] == 0; }));
  for (int i = 0; i < 20; ++i) stay.push_back(TestClient::open(server.port()));
  EXPECT_TRUE(eventually([&] { return has_evenly(server.port(), stay.size(), 4); }))
      << counted(server.port());
}

TEST_F(Steering, WithoutTheRightsTheServerSaysSoAndServes) {
  Child server({"/usr/bin/setpriv", "--reuid", "65534", "--clear-groups", "--bounding-set", "-all",
                EPULSE_WS_PATH, "--listen", "127.0.0.1:0", "--workers", "2", "--accept-steering"});
  const std::string line = server.read_line();
  ASSERT_NE(line.find("listening on"), std::string::npos) << server.err_so_far();
  server.signal(SIGTERM);
  EXPECT_EQ(server.wait(), 0);
  EXPECT_NE(server.err().find("it needs root, or CAP_BPF and CAP_NET_ADMIN; the kernel's hash "
                              "spreads connections"),
            std::string::npos)
      << server.err();
}

}  // namespace
}  // namespace epulse::testing
