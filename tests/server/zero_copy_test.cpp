// Zero-copy sends of the io_uring engine: the kernel reads their memory long after they have
// completed, here for as long as a client does not read. Loopback copies when a segment arrives, so
// what the receive window keeps back is not copied yet.
#include <gtest/gtest.h>
#include <linux/capability.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "server/engine/output_queue.hpp"
#include "tests/server/child.hpp"
#include "tests/server/counters.hpp"
#include "tests/server/recorder.hpp"

namespace epulse::server {
namespace {

using testing::bytes_of;
using testing::TestClient;

constexpr std::size_t kFrom = 16'384;
constexpr int kReceiveBuffer = 64 * 1024;  // of the client: little, but room for whole segments

// Goes on with zero copy, as it would over a network card.
EngineOptions zero_copy_options() {
  return {.kind = EngineKind::kUring, .zero_copy = {.from_bytes = kFrom, .although_copied = true}};
}

SharedBytes shared(const std::string& text) {
  return std::make_shared<const Bytes>(bytes_of(text));
}

// Takes what was freed, in the sizes that it had, and writes to it.
void scribble(std::size_t size) {
  const std::vector<Bytes> scribbled(20, Bytes(size, 0xAA));
}

class ZeroCopy : public ::testing::Test {
 protected:
  void SetUp() override {
    const std::string reason = why_unavailable(zero_copy_options());
    if (!reason.empty()) GTEST_SKIP() << reason;
  }
};

// One client, which does not read by itself.
struct Scene {
  explicit Scene(const EngineOptions& options = zero_copy_options())
      : recorder(options), client(std::in_place, recorder.port(), kReceiveBuffer) {
    recorder.run_until([&] { return recorder.accepted.size() == 1; });
  }
  ConnId conn() const { return recorder.accepted[0]; }
  Engine& engine() { return recorder.engine(); }
  std::uint64_t held() const { return recorder.stats().zero_copy_held_bytes; }
  std::uint64_t sent() const { return recorder.stats().zero_copy_sends; }
  bool hold_something() {
    return recorder.run_busily_until([&] { return held() != 0; });
  }
  bool release_all() {
    return recorder.run_busily_until([&] { return held() == 0; });
  }
  // Reads all that comes until there are so many bytes, or the end.
  bool read(std::size_t bytes) {
    bool open = true;
    return recorder.run_busily_until([&] {
      open = open && read_available(*client, received);
      return received.size() >= bytes || !open;
    });
  }

  Recorder recorder;
  std::optional<TestClient> client;
  std::string received;
};

// Messages on both sides of the threshold, copied and shared; their memory is let go of, and
// written to, while the kernel holds it.
TEST_F(ZeroCopy, ASlowReaderGetsEveryByteInOrder) {
  Scene scene;
  std::string expected;
  for (std::size_t i = 0; i < 60; ++i) {
    const std::size_t size = i % 3 == 0 ? 400'000 : i % 3 == 1 ? 700 : 30'000;
    const std::string text = pattern(size, expected.size());
    if (i % 2 == 0) {
      scene.engine().send_shared(scene.conn(), shared(text));
    } else {
      say(scene.engine(), scene.conn(), text);
    }
    expected += text;
    if (i % 10 == 0) scene.recorder.run_until([] { return true; });
  }
  ASSERT_TRUE(scene.recorder.run_busily_until(
      [&] { return scene.held() != 0 && scene.engine().blocked(scene.conn()); }));
  EXPECT_GT(scene.engine().queued_bytes(scene.conn()), 0U);
  EXPECT_GT(scene.engine().unacknowledged_bytes(scene.conn()),
            scene.engine().queued_bytes(scene.conn()));
  std::string& received = scene.received;
  ASSERT_TRUE(scene.recorder.run_busily_until([&] {
    for (const int size : {400'000, 30'000}) scribble(static_cast<std::size_t>(size));
    char buffer[60'000];
    const ssize_t n = recv(scene.client->fd(), buffer, sizeof buffer, MSG_DONTWAIT);
    if (n > 0) received.append(buffer, static_cast<std::size_t>(n));
    return received.size() >= expected.size();
  }));
  EXPECT_TRUE(received == expected);
  EXPECT_TRUE(scene.release_all());
  EXPECT_GT(scene.sent(), 20U);
  EXPECT_GT(scene.recorder.stats().zero_copy_copied, 0U);  // Loopback.
  EXPECT_EQ(scene.recorder.stats().bytes_out, expected.size());
  EXPECT_EQ(scene.engine().queued_bytes(scene.conn()), 0U);
  EXPECT_FALSE(scene.engine().blocked(scene.conn()));
}

// Alternately with and without a copy: each has a request of its own.
std::string give_mixed(Scene& scene, std::size_t messages) {
  std::string all;
  for (std::size_t i = 0; i < messages; ++i) {
    const std::string text = pattern(i % 2 == 0 ? kFrom : 700, all.size());
    scene.engine().send_shared(scene.conn(), shared(text));
    all += text;
  }
  return all;
}

TEST_F(ZeroCopy, WhatNeedsSeveralRequestsLeavesInOneTurn) {
  Scene scene;
  const std::string expected = give_mixed(scene, 4);
  std::size_t looks = 0;  // One before the first turn, one in it.
  ASSERT_TRUE(scene.recorder.run_until([&] { return ++looks >= 2; }));
  EXPECT_EQ(scene.engine().queued_bytes(scene.conn()), 0U);
  EXPECT_EQ(scene.sent(), 2U);
  ASSERT_TRUE(scene.read(expected.size()));
  EXPECT_TRUE(scene.received == expected);
  EXPECT_TRUE(scene.recorder.drained.empty());
}

TEST_F(ZeroCopy, SmallerMessagesAreCopied) {
  Scene scene;
  say(scene.engine(), scene.conn(), pattern(kFrom - 1));
  ASSERT_TRUE(scene.read(kFrom - 1));
  EXPECT_EQ(scene.sent(), 0U);
  say(scene.engine(), scene.conn(), pattern(kFrom));
  ASSERT_TRUE(scene.read(2 * kFrom - 1));
  EXPECT_EQ(scene.sent(), 1U);
}

// Subscribers of one buffer, of which one does not read: it lives as long as that one needs it.
TEST_F(ZeroCopy, ASharedBufferLivesUntilTheSlowestHasIt) {
  Scene scene;
  TestClient fast(scene.recorder.port());
  ASSERT_TRUE(scene.recorder.run_until([&] { return scene.recorder.accepted.size() == 2; }));
  const std::string text = pattern(3'000'000);
  SharedBytes bytes = shared(text);
  const std::weak_ptr<const Bytes> watched = bytes;
  scene.engine().send_shared(scene.conn(), bytes);
  scene.engine().send_shared(scene.recorder.accepted[1], std::move(bytes));
  std::string fast_received;
  ASSERT_TRUE(scene.recorder.run_busily_until([&] {
    read_available(fast, fast_received);
    return fast_received.size() == text.size();
  }));
  EXPECT_TRUE(fast_received == text);
  EXPECT_FALSE(watched.expired());
  ASSERT_TRUE(scene.read(text.size()));
  EXPECT_TRUE(scene.received == text);
  EXPECT_TRUE(scene.release_all());
  EXPECT_TRUE(watched.expired());
}

// The place of a connection is free as soon as it is closed; what comes of its sends afterwards is
// not the next user's.
TEST_F(ZeroCopy, AnAbortFreesThePlaceAndThenTheMemory) {
  EngineOptions options = zero_copy_options();
  options.ring.files = 3;
  Scene scene(options);
  Recorder& recorder = scene.recorder;
  for (std::size_t round = 0; round < 20; ++round) {
    say(scene.engine(), recorder.accepted.back(), pattern(6'000'000));
    ASSERT_TRUE(recorder.run_busily_until(
        [&] { return scene.held() != 0 && scene.engine().blocked(recorder.accepted.back()); }));
    scene.engine().abort(recorder.accepted.back());
    const TestClient gone = std::move(*scene.client);
    scene.client.emplace(recorder.port(), kReceiveBuffer);
    ASSERT_TRUE(recorder.run_until([&] { return recorder.accepted.size() == round + 2; }));
    EXPECT_EQ(recorder.closed.size(), round + 1);
    EXPECT_EQ(recorder.closed.back().second, CloseReason::kAborted);
    EXPECT_LT(recorder.accepted.back().slot, 3U);
    EXPECT_EQ(scene.engine().queued_bytes(recorder.accepted.back()), 0U);
  }
  const std::string text = pattern(100'000, 77);
  say(scene.engine(), recorder.accepted.back(), text);
  ASSERT_TRUE(scene.read(text.size()));
  EXPECT_TRUE(scene.received == text);
  EXPECT_TRUE(scene.release_all());
}

// The peer has ended its half, so closing sends FIN behind what the kernel holds: the connection
// is gone long before the peer has read it.
TEST_F(ZeroCopy, WhatAClosedConnectionHasSentStaysAsItWas) {
  Scene scene;
  const std::string text = pattern(1'500'000);
  shutdown(scene.client->fd(), SHUT_WR);
  say(scene.engine(), scene.conn(), text);
  scene.engine().finish(scene.conn());
  std::string& received = scene.received;
  ASSERT_TRUE(scene.recorder.run_busily_until([&] {
    if (scene.engine().queued_bytes(scene.conn()) == 0) return true;
    char buffer[10'000];
    const ssize_t n = recv(scene.client->fd(), buffer, sizeof buffer, MSG_DONTWAIT);
    if (n > 0) received.append(buffer, static_cast<std::size_t>(n));
    return false;
  }));
  ASSERT_TRUE(scene.recorder.run_until([&] { return !scene.recorder.closed.empty(); }));
  EXPECT_EQ(scene.recorder.closed[0].second, CloseReason::kFinished);
  ASSERT_GT(scene.held(), 0U);
  ASSERT_LT(received.size(), text.size());
  scribble(text.size());
  ASSERT_TRUE(scene.read(text.size()));
  EXPECT_TRUE(received == text);
  EXPECT_TRUE(scene.release_all());
}

// With the engine goes who would free the memory. Others need not wait for the slow one to be told.
TEST_F(ZeroCopy, WhatAnEngineThatIsGoneHasSentStaysAsItWas) {
  const std::string text = pattern(1'500'000);
  auto scene = std::make_optional<Scene>();
  TestClient other(scene->recorder.port());
  ASSERT_TRUE(scene->recorder.run_until([&] { return scene->recorder.accepted.size() == 2; }));
  say(scene->engine(), scene->conn(), text);
  ASSERT_TRUE(scene->hold_something());
  const std::size_t left = text.size() - scene->engine().queued_bytes(scene->conn());
  TestClient client = std::move(*scene->client);
  scene.reset();
  scribble(text.size());
  EXPECT_TRUE(other.ended());
  std::string received;
  EXPECT_TRUE(testing::eventually([&] { return !read_available(client, received); }));
  EXPECT_TRUE(received == text.substr(0, left));
}

// What decides is the way to a peer: the first that was copied after all is a connection's last.
TEST_F(ZeroCopy, AConnectionThatGainsNothingGoesOnWithCopies) {
  EngineOptions options = zero_copy_options();
  options.zero_copy.although_copied = false;
  Scene scene(options);
  for (std::size_t i = 1; i <= 5; ++i) {
    say(scene.engine(), scene.conn(), pattern(kFrom));
    ASSERT_TRUE(scene.read(i * kFrom));
    ASSERT_TRUE(scene.release_all());
  }
  EXPECT_EQ(scene.sent(), 1U);
  EXPECT_EQ(scene.recorder.stats().zero_copy_copied, 1U);
  TestClient other(scene.recorder.port());
  ASSERT_TRUE(scene.recorder.run_until([&] { return scene.recorder.accepted.size() == 2; }));
  say(scene.engine(), scene.recorder.accepted[1], pattern(kFrom));
  ASSERT_TRUE(scene.recorder.run_until([&] { return scene.sent() == 2; }));
}

TEST_F(ZeroCopy, MoreThanTheKernelMayHoldIsCopied) {
  EngineOptions options = zero_copy_options();
  options.zero_copy.held_max_bytes = 1;
  Scene scene(options);
  const std::string text = pattern(2'000'000);
  for (std::size_t at = 0; at < text.size(); at += 500'000) {
    say(scene.engine(), scene.conn(), text.substr(at, 500'000));
    scene.recorder.run_until([] { return true; });
  }
  ASSERT_TRUE(scene.hold_something());
  EXPECT_EQ(scene.sent(), 1U);
  ASSERT_TRUE(scene.read(text.size()));
  EXPECT_TRUE(scene.received == text);
}

// Without CAP_IPC_LOCK, the memory that the kernel holds counts as locked.
void without_lock_capability() {
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct data[2]{};
  syscall(SYS_capget, &header, data);
  data[0].effective &= ~(1U << CAP_IPC_LOCK);
  syscall(SYS_capset, &header, data);
}

class LockedMemory {
 public:
  explicit LockedMemory(rlim_t bytes) {
    getrlimit(RLIMIT_MEMLOCK, &before_);
    const rlimit limit{bytes, before_.rlim_max};
    setrlimit(RLIMIT_MEMLOCK, &limit);
  }
  ~LockedMemory() { setrlimit(RLIMIT_MEMLOCK, &before_); }

 private:
  rlimit before_{};
};

// In a thread of its own, with which the capability comes back.
TEST_F(ZeroCopy, WithoutLockedMemoryItIsCopied) {
  std::thread([] {
    without_lock_capability();
    Scene scene;
    const LockedMemory limit(std::size_t{64} * 1024);
    const std::string text = pattern(1'000'000);
    say(scene.engine(), scene.conn(), text);
    ASSERT_TRUE(scene.read(text.size()));
    EXPECT_TRUE(scene.received == text);
    EXPECT_EQ(scene.sent(), 0U);
    EXPECT_EQ(scene.held(), 0U);
  }).join();
}

TEST(OutputQueueMemory, StaysAsItIsForWhoSharesIt) {
  OutputQueue queue;
  const std::string text = pattern(20'000);
  queue.append(bytes_of(text));
  std::vector<SharedBytes> memory;
  queue.share(1, memory);
  queue.append(bytes_of("more"));  // Not behind it, in its memory.
  iovec parts[4];
  ASSERT_EQ(queue.gather(parts), 2U);
  EXPECT_EQ(parts[0].iov_base, memory[0]->data());
  queue.consume(text.size() + 4);
  EXPECT_TRUE(queue.empty());
  EXPECT_EQ(testing::text_of(*memory[0]), text);
}

// The program.

const std::vector<std::string> kProgram = {"--engine",        "io_uring", "--workers", "1",
                                           "--zerocopy-from", "16384",    "--linger",  "0.2"};

TEST_F(ZeroCopy, TheServerCountsIt) {
  const testing::ServerChild server(kProgram);
  TestClient client = TestClient::open(server.port());
  client.send(ws::Opcode::kBinary, pattern(100'000));
  EXPECT_EQ(testing::text_of(client.receive().payload), pattern(100'000));
  EXPECT_TRUE(
      testing::eventually([&] { return testing::stat(server.port(), "zero_copy_copied") == 1; }));
  EXPECT_EQ(testing::stat(server.port(), "zero_copy_sends"), 1U);
  const std::string metrics = testing::get(server.port(), "/metrics");
  EXPECT_NE(metrics.find("epulse_ws_zero_copy_sends_total{worker=\"0\"} 1\n"), std::string::npos);
  EXPECT_NE(metrics.find("epulse_ws_zero_copy_copied_total{worker=\"0\"} 1\n"), std::string::npos);
}

// A hot restart while a client has not read what the old process has sent: it gets all of it, and
// the close frame behind it.
TEST_F(ZeroCopy, AHotRestartLosesNothing) {
  testing::ServerChild server(kProgram);
  TestClient client = TestClient::open(server.port(), "/", kReceiveBuffer);
  const std::string text = pattern(1'000'000);
  client.send(ws::Opcode::kBinary, text);
  ASSERT_TRUE(testing::eventually(
      [&] { return testing::stat(server.port(), "zero_copy_held_bytes") > 0; }));
  server.child().signal(SIGUSR2);
  const testing::Heir heir(server.child().read_line());
  EXPECT_TRUE(testing::text_of(client.receive().payload) == text);
  EXPECT_EQ(client.receive().code, ws::CloseCode::kGoingAway);
  client.send(ws::Opcode::kClose, "\x03\xE9");
  EXPECT_TRUE(client.ended());
  { const TestClient gone = std::move(client); }
  EXPECT_EQ(server.child().wait(), 0) << server.child().err();
}

// One that does not read at all holds nobody up, neither the server nor other clients.
TEST_F(ZeroCopy, TheServerEndsWithMemoryInFlight) {
  testing::ServerChild server(kProgram);
  TestClient client = TestClient::open(server.port(), "/", kReceiveBuffer);
  TestClient idle = TestClient::open(server.port());
  client.send(ws::Opcode::kBinary, pattern(4'000'000));
  ASSERT_TRUE(testing::eventually(
      [&] { return testing::stat(server.port(), "zero_copy_held_bytes") > 0; }));
  server.child().signal(SIGTERM);
  EXPECT_EQ(server.child().wait(), 0) << server.child().err();
  testing::expect_close(idle, ws::CloseCode::kGoingAway);
}

TEST(ZeroCopyOption, IsRefusedWithEpollAndBelowAPage) {
  testing::Child epoll({EPULSE_WS_PATH, "--engine", "epoll", "--zerocopy-from", "65536"});
  EXPECT_EQ(epoll.wait(), 2);
  EXPECT_NE(epoll.err().find("give --engine io_uring, too"), std::string::npos) << epoll.err();
  testing::Child small({EPULSE_WS_PATH, "--engine", "io_uring", "--zerocopy-from", "1000"});
  EXPECT_EQ(small.wait(), 2);
  EXPECT_NE(small.err().find("--zerocopy-from: takes bytes from 4096"), std::string::npos)
      << small.err();
}

}  // namespace
}  // namespace epulse::server
