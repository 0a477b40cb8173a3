// The promise of the server in one number: whole small messages are echoed without touching the
// heap. A program of its own, since it replaces operator new.
#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <cstdlib>
#include <new>
#include <thread>

#include "server/engine/engines.hpp"
#include "server/engine/listener.hpp"
#include "server/session/session.hpp"
#include "tests/server/test_client.hpp"

namespace {

thread_local bool count_here = false;
std::atomic<std::uint64_t> allocations{0};

void* allocate(std::size_t bytes) {
  if (count_here) allocations.fetch_add(1);
  void* memory = std::malloc(bytes);
  if (memory == nullptr) std::abort();
  return memory;
}

}  // namespace

void* operator new(std::size_t bytes) {
  return allocate(bytes);
}
void* operator new[](std::size_t bytes) {
  return allocate(bytes);
}
void operator delete(void* memory) noexcept {
  std::free(memory);
}
void operator delete[](void* memory) noexcept {
  std::free(memory);
}
void operator delete(void* memory, std::size_t) noexcept {
  std::free(memory);
}
void operator delete[](void* memory, std::size_t) noexcept {
  std::free(memory);
}

namespace epulse::server {
namespace {

using testing::TestClient;

// A worker in this process, whose thread counts what it allocates.
class CountedServer {
 public:
  explicit CountedServer(EngineKind engine)
      : engine_(engine),
        shared_({.max_connections = 10}, 1),
        listeners_(open_listeners(parse_address("127.0.0.1:0"), 1)),
        thread_([this] { serve(); }) {}
  CountedServer(const CountedServer&) = delete;
  CountedServer& operator=(const CountedServer&) = delete;
  ~CountedServer() {
    shared_.draining.store(true);
    shared_.hub.waker(0).wake();
    thread_.join();
  }

  int port() const { return listeners_.address.port(); }

 private:
  void serve() {
    Session session(shared_, 0);
    const auto engine = make_engine({.kind = engine_,
                                     .listen_fd = listeners_.sockets[0].get(),
                                     .wake_fd = shared_.hub.waker(0).fd()},
                                    session, shared_.pages.worker(0));
    session.attach(*engine);
    count_here = true;
    engine->run();
    count_here = false;
  }

  EngineKind engine_;
  SharedState shared_;
  Listeners listeners_;
  std::thread thread_;
};

std::uint64_t allocations_of(TestClient& client, const testing::Bytes& input, int rounds,
                             int answers) {
  const std::uint64_t before = allocations.load();
  for (int i = 0; i < rounds; ++i) {
    client.send_raw(input);
    for (int k = 0; k < answers; ++k) {
      EXPECT_EQ(client.receive().kind, ws::Event::Kind::kMessage);
    }
  }
  return allocations.load() - before;
}

class Allocation : public ::testing::TestWithParam<EngineKind> {
 protected:
  void SetUp() override {
    const std::string reason = why_unavailable({.kind = GetParam()});
    if (!reason.empty()) GTEST_SKIP() << reason;
  }
};

INSTANTIATE_TEST_SUITE_P(Each, Allocation,
                         ::testing::Values(EngineKind::kEpoll, EngineKind::kUring),
                         [](const auto& test) { return engine_name(test.param); });

TEST_P(Allocation, EchoOfWholeSmallMessagesTakesNone) {
  CountedServer server(GetParam());
  TestClient client = TestClient::open(server.port());
  const testing::Bytes message = testing::client_frame(ws::Opcode::kText, testing::Bytes(20, 'x'));
  allocations_of(client, message, 10, 1);
  EXPECT_EQ(allocations_of(client, message, 1009, 1), 0U);
}

TEST_P(Allocation, NorDoPipelinedMessages) {
  CountedServer server(GetParam());
  TestClient client = TestClient::open(server.port());
  testing::Bytes input;
  for (int i = 0; i < 16; ++i) {
    const auto frame = testing::client_frame(ws::Opcode::kBinary, testing::Bytes(100, 7));
    input.insert(input.end(), frame.begin(), frame.end());
  }
  // More than all receive buffers of the io_uring engine hold: no message is cut where one ends.
  EXPECT_EQ(allocations_of(client, input, 1009, 16), 0U);
}

// That the counter counts: a message in two fragments needs a buffer.
TEST_P(Allocation, AFragmentedMessageIsCounted) {
  CountedServer server(GetParam());
  TestClient client = TestClient::open(server.port());
  testing::Bytes input = testing::client_frame(ws::Opcode::kText, testing::Bytes(20, 'x'), false);
  const auto rest = testing::client_frame(ws::Opcode::kContinuation, testing::Bytes(20, 'x'));
  input.insert(input.end(), rest.begin(), rest.end());
  EXPECT_GT(allocations_of(client, input, 10, 1), 0U);
}

}  // namespace
}  // namespace epulse::server
