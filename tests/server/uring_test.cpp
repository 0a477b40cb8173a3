// Where an io_uring server that is not finished breaks.
#include <gtest/gtest.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <functional>
#include <iterator>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "server/engine/uring/send_arena.hpp"
#include "tests/server/child.hpp"
#include "tests/server/forbid_uring.hpp"
#include "tests/server/recorder.hpp"

namespace epulse::server {
namespace {

using testing::bytes_of;
using testing::TestClient;

constexpr uring::BufferShape kUnused{0, 0};

EngineOptions uring_options() {
  return {.kind = EngineKind::kUring};
}

class Uring : public ::testing::Test {
 protected:
  void SetUp() override {
    const std::string reason = why_unavailable(uring_options());
    if (!reason.empty()) GTEST_SKIP() << reason;
  }
};

std::size_t open_files() {
  const std::filesystem::directory_iterator files("/proc/self/fd");
  return static_cast<std::size_t>(std::distance(begin(files), end(files)));
}

// A client and what has come back to it of its own stream, which no other has.
struct Stream {
  Stream(int port, std::size_t index) : client(port), start(index * 1009) {}

  bool send_some(std::size_t bytes) {
    const std::size_t n = client.send_some(bytes_of(pattern(bytes, start + sent)));
    sent += n;
    return n != 0;
  }
  bool complete() {
    read_available(client, received);
    return received.size() == sent;
  }
  bool right() const { return received == pattern(sent, start); }

  TestClient client;
  std::size_t start;
  std::size_t sent = 0;
  std::string received;
};

std::vector<std::unique_ptr<Stream>> open_streams(Recorder& recorder, std::size_t count) {
  std::vector<std::unique_ptr<Stream>> streams;
  while (streams.size() < count) {
    streams.push_back(std::make_unique<Stream>(recorder.port(), streams.size()));
    if (streams.size() % 64 == 0) {
      recorder.run_busily_until([&] { return recorder.accepted.size() == streams.size(); });
    }
  }
  recorder.run_busily_until([&] { return recorder.accepted.size() == streams.size(); });
  return streams;
}

// Every stream sends `bytes`, all at once, in each of the rounds, and gets them back.
void expect_echoes(Recorder& recorder, std::vector<std::unique_ptr<Stream>>& streams,
                   std::size_t bytes, int rounds) {
  for (int round = 0; round < rounds; ++round) {
    for (auto& stream : streams) stream->send_some(bytes);
    ASSERT_TRUE(recorder.run_busily_until([&] {
      return std::all_of(streams.begin(), streams.end(), [](auto& s) { return s->complete(); });
    })) << "round "
        << round;
  }
  for (const auto& stream : streams) EXPECT_TRUE(stream->right());
}

TEST_F(Uring, ManyConnectionsTakeNoDescriptorsOfTheProcess) {
  rlimit limit{};
  getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
  if (limit.rlim_cur < 2000) GTEST_SKIP() << "not enough open files allowed";
  Recorder recorder(uring_options());
  make_echo(recorder);
  const std::size_t before = open_files();
  auto streams = open_streams(recorder, 1511);
  ASSERT_EQ(recorder.accepted.size(), 1511U);
  EXPECT_EQ(open_files(), before + 1511);  // the clients' own
  expect_echoes(recorder, streams, 100, 2);
  EXPECT_EQ(recorder.stats().saturated, 0U);
}

// Far more comes at once than there are buffers for (ENOBUFS), and all messages are larger than a
// buffer.
TEST_F(Uring, FewBuffersFilledBitByBit) {
  EngineOptions options = uring_options();
  options.buffers.incremental = {4, 1024};
  Recorder recorder(options);
  make_echo(recorder);
  auto streams = open_streams(recorder, 40);
  expect_echoes(recorder, streams, 9973, 5);
}

TEST_F(Uring, FewBuffersUsedUpWhole) {
  EngineOptions options = uring_options();
  options.buffers = {.incremental = kUnused, .whole = {4, 1024}};
  Recorder recorder(options);
  make_echo(recorder);
  auto streams = open_streams(recorder, 40);
  expect_echoes(recorder, streams, 9973, 5);
}

// A reset completes with an error and no buffer: who takes it for one returns a buffer that is in
// use.
void survive_resets(const EngineOptions& options) {
  Recorder recorder(options);
  make_echo(recorder);
  auto streams = open_streams(recorder, 20);
  for (int round = 0; round < 10; ++round) {
    std::vector<std::unique_ptr<Stream>> others;
    for (std::size_t i = 0; i < 10; ++i) {
      others.push_back(std::make_unique<Stream>(recorder.port(), i));
      others.back()->send_some(777);
    }
    for (auto& stream : streams) stream->send_some(3001);
    recorder.run_busily_until([&] { return streams.back()->complete(); });
    for (auto& other : others) {
      const linger reset{1, 0};
      setsockopt(other->client.fd(), SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
    }
    others.clear();
    expect_echoes(recorder, streams, 3001, 1);
  }
  ASSERT_TRUE(recorder.run_until([&] { return recorder.closed.size() == 100; }));
}

TEST_F(Uring, ResetsWithBuffersFilledBitByBit) {
  EngineOptions options = uring_options();
  options.buffers.incremental = {4, 4096};
  survive_resets(options);
}

TEST_F(Uring, ResetsWithBuffersUsedUpWhole) {
  EngineOptions options = uring_options();
  options.buffers = {.incremental = kUnused, .whole = {8, 512}};
  survive_resets(options);
}

// The queue of completions holds eight: receives and accepts end early and go on again, and nothing
// is lost.
TEST_F(Uring, AFullQueueOfCompletions) {
  EngineOptions options = uring_options();
  options.ring = {.submissions = 8, .completions = 8};
  Recorder recorder(options);
  make_echo(recorder);
  std::vector<std::unique_ptr<Stream>> streams;
  for (std::size_t i = 0; i < 100; ++i) {
    streams.push_back(std::make_unique<Stream>(recorder.port(), i));
  }
  ASSERT_TRUE(recorder.run_until([&] { return recorder.accepted.size() == 100; }));
  expect_echoes(recorder, streams, 5000, 5);
  EXPECT_GT(recorder.stats().saturated, 0U);
}

// As above, with sends that fail: of them, too, no completion may be lost.
TEST_F(Uring, AFullQueueOfCompletionsAndSlowReaders) {
  EngineOptions options = uring_options();
  options.ring = {.submissions = 8, .completions = 8};
  Recorder recorder(options);
  std::vector<std::unique_ptr<TestClient>> clients;
  std::vector<std::string> received(50);
  for (std::size_t i = 0; i < received.size(); ++i) {
    clients.push_back(std::make_unique<TestClient>(recorder.port(), 4096));
  }
  const std::string text = pattern(400'000);
  recorder.on_bytes = [&](ConnId conn, std::span<std::uint8_t>) {
    for (std::size_t at = 0; at < text.size(); at += 40'000) {
      say(recorder.engine(), conn, std::string_view(text).substr(at, 40'000));
    }
  };
  for (auto& client : clients) client->send_raw(bytes_of("go"));
  ASSERT_TRUE(recorder.run_busily_until(
      [&] {
        bool all = true;
        for (std::size_t i = 0; i < clients.size(); ++i) {
          read_available(*clients[i], received[i]);
          all = all && received[i].size() == text.size();
        }
        return all;
      },
      200));
  for (const std::string& bytes : received) EXPECT_TRUE(bytes == text);
}

// The table holds three: the others wait in the queue of the listener, and none is turned away.
TEST_F(Uring, WhoFindsNoPlaceInTheTableWaits) {
  EngineOptions options = uring_options();
  options.ring.files = 3;
  Recorder recorder(options);
  make_echo(recorder);
  std::vector<std::unique_ptr<Stream>> streams;
  for (std::size_t i = 0; i < 6; ++i) {
    streams.push_back(std::make_unique<Stream>(recorder.port(), i));
    streams.back()->send_some(10);
  }
  ASSERT_TRUE(recorder.run_until([&] { return recorder.accepted.size() == 3; }));
  const std::uint64_t turns = recorder.stats().loop_turns;
  EXPECT_FALSE(recorder.run_until([&] { return recorder.accepted.size() > 3; }, 4));
  EXPECT_LT(recorder.stats().loop_turns - turns, 30U);
  for (std::size_t i = 0; i < 3; ++i) EXPECT_TRUE(streams[i]->complete());
  streams.erase(streams.begin(), streams.begin() + 3);
  expect_echoes(recorder, streams, 10, 3);
}

TEST_F(Uring, PlacesAreUsedAgain) {
  EngineOptions options = uring_options();
  options.ring.files = 4;
  Recorder recorder(options);
  make_echo(recorder);
  for (std::size_t round = 0; round < 100; ++round) {
    Stream stream(recorder.port(), round);
    stream.send_some(100);
    ASSERT_TRUE(recorder.run_busily_until([&] { return stream.complete(); })) << round;
    EXPECT_TRUE(stream.right());
    if (round % 2 == 0) recorder.engine().abort(recorder.accepted.back());
  }
  ASSERT_TRUE(recorder.run_until([&] { return recorder.closed.size() == 100; }));
}

// Everything that a turn has to say to a connection leaves in one send, whoever's input it answers.
TEST_F(Uring, AnswersToSeveralConnectionsLeaveInOneSend) {
  Recorder recorder(uring_options());
  TestClient listener(recorder.port());
  ASSERT_TRUE(recorder.run_until([&] { return recorder.accepted.size() == 1; }, 8));
  std::vector<std::unique_ptr<Stream>> speakers;
  for (std::size_t i = 0; i < 10; ++i) {
    speakers.push_back(std::make_unique<Stream>(recorder.port(), i));
    speakers.back()->send_some(10);
  }
  std::size_t turns_with_input = 0;
  std::uint64_t last_turn = 0;
  recorder.on_bytes = [&](ConnId, std::span<std::uint8_t> input) {
    const Part part(input);
    recorder.engine().send(recorder.accepted[0], {&part, 1});
    if (recorder.stats().loop_turns != last_turn) ++turns_with_input;
    last_turn = recorder.stats().loop_turns;
  };
  std::string received;
  ASSERT_TRUE(recorder.run_busily_until([&] {
    read_available(listener, received);
    return received.size() == 100;
  }));
  EXPECT_LT(turns_with_input, 10U);
  EXPECT_EQ(testing::segments_in(listener), turns_with_input);
}

TEST(SendArena, KeepsRunsApartAndInOrder) {
  uring::SendArena arena(100'000);
  std::array<uring::SendArena::Run, 3> runs;
  std::array<std::string, 3> expected;
  for (std::size_t i = 0; i < 200; ++i) {
    const std::string text = pattern(i % 11, i * 13);
    const Bytes first = bytes_of(text.substr(0, text.size() / 2));
    const Bytes second = bytes_of(text.substr(text.size() / 2));
    const std::array<Part, 2> parts = {first, second};
    ASSERT_TRUE(arena.append(runs[i * 7 % 3], parts)) << i;
    expected[i * 7 % 3] += text;
  }
  for (std::size_t k = 0; k < 3; ++k)
    EXPECT_EQ(testing::text_of(Bytes(arena.view(runs[k]).begin(), arena.view(runs[k]).end())),
              expected[k]);
}

TEST(SendArena, RefusesWhatDoesNotFitOrIsTooLongToMove) {
  uring::SendArena arena(20'000);
  uring::SendArena::Run a;
  uring::SendArena::Run b;
  const Bytes large(6000, 1);
  const Bytes small(10, 2);
  const Part large_part(large);
  const Part small_part(small);
  ASSERT_TRUE(arena.append(a, {&large_part, 1}));
  ASSERT_TRUE(arena.append(b, {&small_part, 1}));
  EXPECT_FALSE(arena.append(a, {&small_part, 1}));  // It is not the last, and long.
  EXPECT_EQ(a.bytes, 6000U);
  ASSERT_TRUE(arena.append(b, {&large_part, 1}));
  ASSERT_TRUE(arena.append(b, {&large_part, 1}));
  EXPECT_FALSE(arena.append(b, {&large_part, 1}));
  EXPECT_EQ(b.bytes, 12'010U);
  arena.clear();
  b = {};
  EXPECT_TRUE(arena.append(b, {&large_part, 1}));
}

// In a thread of its own, with which the filter goes.
std::string reason_under(unsigned code) {
  std::string reason;
  std::thread([&] {
    ASSERT_TRUE(testing::forbid_uring(code));
    reason = why_unavailable(uring_options());
  }).join();
  return reason;
}

TEST(UringProbe, SaysWhoForbidsIt) {
  EXPECT_EQ(reason_under(ENOSYS),
            "no io_uring: this kernel has none, or a seccomp filter hides it");
  EXPECT_NE(reason_under(EPERM).find("forbids it"), std::string::npos) << reason_under(EPERM);
  EXPECT_EQ(reason_under(EINVAL), "no io_uring: this kernel is too old, Linux 6.8 is needed");
  EXPECT_NE(reason_under(ENOMEM).find("raise ulimit -l"), std::string::npos);
}

TEST(UringProbe, EpollNeedsNone) {
  EXPECT_EQ(why_unavailable({.kind = EngineKind::kEpoll}), "");
}

TEST(UringProbe, TheServerFallsBackAndSaysWhy) {
  std::thread([] {
    ASSERT_TRUE(testing::forbid_uring(ENOSYS));
    testing::ServerChild server({"--engine", "io_uring", "--workers", "1"});
    EXPECT_NE(server.start_line().find(", epoll, pid "), std::string::npos) << server.start_line();
    TestClient client = TestClient::open(server.port());
    client.send(ws::Opcode::kText, "x");
    EXPECT_EQ(client.receive().payload.size(), 1U);
    { const TestClient gone(std::move(client)); }
    server.child().signal(SIGTERM);
    EXPECT_EQ(server.child().wait(), 0);
    EXPECT_EQ(server.child().err(),
              "epulse-ws: no io_uring: this kernel has none, or a seccomp filter hides it; using "
              "epoll\n");
  }).join();
}

TEST_F(Uring, TheStartLineNamesIt) {
  const testing::ServerChild server({"--engine", "io_uring"});
  EXPECT_NE(server.start_line().find(", io_uring, pid "), std::string::npos) << server.start_line();
}

}  // namespace
}  // namespace epulse::server
