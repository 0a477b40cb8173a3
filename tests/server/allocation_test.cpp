// The promise of the server in one number: whole small messages are echoed without touching the
// heap; over TLS, without a call of ours. A program of its own, since it replaces operator new.
#include <gtest/gtest.h>
#include <openssl/crypto.h>

#include <array>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <new>
#include <optional>
#include <thread>

#include "server/engine/epoll_engine.hpp"
#include "server/engine/listener.hpp"
#include "server/session/session.hpp"
#include "server/tls/tls_engine.hpp"
#include "tests/server/test_client.hpp"
#include "tests/server/wss_client.hpp"

namespace {

thread_local bool count_here = false;
std::atomic<std::uint64_t> allocations{0};
std::atomic<std::uint64_t> openssl_allocations{0};  // and no others

void* allocate(std::size_t bytes) {
  if (count_here) allocations.fetch_add(1);
  void* memory = std::malloc(bytes);
  if (memory == nullptr) std::abort();
  return memory;
}

void* openssl_allocate(std::size_t bytes, const char* /*file*/, int /*line*/) {
  if (count_here) openssl_allocations.fetch_add(1);
  return std::malloc(bytes);
}
void* openssl_reallocate(void* memory, std::size_t bytes, const char* /*file*/, int /*line*/) {
  if (count_here) openssl_allocations.fetch_add(1);
  return std::realloc(memory, bytes);
}
void openssl_free(void* memory, const char* /*file*/, int /*line*/) {
  std::free(memory);
}
// Before OpenSSL's first.
const int openssl_is_counted =
    CRYPTO_set_mem_functions(openssl_allocate, openssl_reallocate, openssl_free);

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
  explicit CountedServer(const tls::Context* tls = nullptr)
      : tls_(tls),
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
    std::optional<TlsEngine> tls;
    if (tls_ != nullptr) tls.emplace(*tls_, session);
    EpollEngine engine(
        {.listen_fd = listeners_.sockets[0].get(), .wake_fd = shared_.hub.waker(0).fd()},
        tls ? static_cast<Handler&>(*tls) : session, shared_.pages.worker(0));
    if (tls) tls->attach(engine);
    session.attach(tls ? static_cast<Engine&>(*tls) : engine);
    count_here = true;
    engine.run();
    count_here = false;
  }

  const tls::Context* tls_;
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

TEST(Allocation, EchoOfWholeSmallMessagesTakesNone) {
  CountedServer server;
  TestClient client = TestClient::open(server.port());
  const testing::Bytes message = testing::client_frame(ws::Opcode::kText, testing::Bytes(20, 'x'));
  allocations_of(client, message, 10, 1);
  EXPECT_EQ(allocations_of(client, message, 1009, 1), 0U);
}

TEST(Allocation, NorDoPipelinedMessages) {
  CountedServer server;
  TestClient client = TestClient::open(server.port());
  testing::Bytes input;
  for (int i = 0; i < 16; ++i) {
    const auto frame = testing::client_frame(ws::Opcode::kBinary, testing::Bytes(100, 7));
    input.insert(input.end(), frame.begin(), frame.end());
  }
  EXPECT_EQ(allocations_of(client, input, 101, 16), 0U);
}

TEST(Allocation, NorDoMessagesOverTlsButForOpenSslsOwn) {
  ASSERT_EQ(openssl_is_counted, 1);
  const testing::IdentityFiles files;
  const tls::Context context({.certificate_file = files.certificate(),
                              .key_file = files.key(),
                              .early_paths = {}});
  CountedServer server(&context);
  testing::WssClient client = testing::WssClient::open(server.port());
  const auto echo = [&](std::size_t size, int rounds) {
    const std::string text(size, 'x');
    for (int i = 0; i < rounds; ++i) {
      client.send(ws::Opcode::kText, text);
      EXPECT_EQ(client.receive().kind, ws::Event::Kind::kMessage);
    }
  };
  for (const std::size_t size : {20U, 16000U}) {
    constexpr int kRounds = 1009;
    echo(size, 10);
    const std::uint64_t ours = allocations.load();
    const std::uint64_t theirs = openssl_allocations.load();
    echo(size, kRounds);
    EXPECT_EQ(allocations.load() - ours, 0U) << size;
    const double each = static_cast<double>(openssl_allocations.load() - theirs) / kRounds;
    std::printf("OpenSSL's allocations per echo of %zu bytes: %.2f\n", size, each);
    EXPECT_GT(each, 0);
    EXPECT_LE(each, 6);  // A buffer and a 40-byte note to read, a buffer and three notes to write.
  }
}

// That the counter counts: a message in two fragments needs a buffer.
TEST(Allocation, AFragmentedMessageIsCounted) {
  CountedServer server;
  TestClient client = TestClient::open(server.port());
  testing::Bytes input = testing::client_frame(ws::Opcode::kText, testing::Bytes(20, 'x'), false);
  const auto rest = testing::client_frame(ws::Opcode::kContinuation, testing::Bytes(20, 'x'));
  input.insert(input.end(), rest.begin(), rest.end());
  EXPECT_GT(allocations_of(client, input, 10, 1), 0U);
}

}  // namespace
}  // namespace epulse::server
