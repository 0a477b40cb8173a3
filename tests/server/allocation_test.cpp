// The promise of the server in one number: whole small messages are echoed without touching the
// heap; over TLS, without a call of ours. A program of its own, since it replaces OpenSSL's
// allocator.
#include <gtest/gtest.h>
#include <openssl/crypto.h>

#include <array>
#include <atomic>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <thread>
#include <vector>

#include "server/allocations.hpp"
#include "server/echo_handler.hpp"
#include "server/engine/engines.hpp"
#include "server/engine/listener.hpp"
#include "server/session/session.hpp"
#include "server/tls/tls_engine.hpp"
#include "tests/server/deflate_end.hpp"
#include "tests/server/test_client.hpp"
#include "tests/server/wss_client.hpp"

namespace {

thread_local std::uint64_t openssl_allocations = 0;

void* openssl_allocate(std::size_t bytes, const char* /*file*/, int /*line*/) {
  ++openssl_allocations;
  return std::malloc(bytes);
}
void* openssl_reallocate(void* memory, std::size_t bytes, const char* /*file*/, int /*line*/) {
  ++openssl_allocations;
  return std::realloc(memory, bytes);
}
void openssl_free(void* memory, const char* /*file*/, int /*line*/) {
  std::free(memory);
}
// Before OpenSSL's first.
const int openssl_is_counted =
    CRYPTO_set_mem_functions(openssl_allocate, openssl_reallocate, openssl_free);

}  // namespace

namespace epulse::server {
namespace {

using testing::TestClient;

struct Counts {
  std::atomic<std::uint64_t> ours{0};
  std::atomic<std::uint64_t> openssl{0};
};

// Passes all on to another and notes how often its thread has allocated so far.
class Counting final : public Handler {
 public:
  Counting(Handler& handler, Counts& counts) : handler_(handler), counts_(counts) {}

  void on_accept(ConnId conn) override { handler_.on_accept(conn); }
  void on_data(ConnId conn, std::span<std::uint8_t> input) override {
    handler_.on_data(conn, input);
    counts_.ours = allocations_of_this_thread();
    counts_.openssl = openssl_allocations;
  }
  void on_drained(ConnId conn) override { handler_.on_drained(conn); }
  void on_closed(ConnId conn, CloseReason reason) override { handler_.on_closed(conn, reason); }
  void on_wake() override { handler_.on_wake(); }
  void on_tick() override { handler_.on_tick(); }

 private:
  Handler& handler_;
  Counts& counts_;
};

// A worker in this process, whose thread counts what it allocates.
class CountedServer {
 public:
  explicit CountedServer(EngineKind engine, const SessionOptions& options = {},
                         const tls::Context* tls = nullptr)
      : engine_(engine),
        tls_(tls),
        shared_(options, {}, 1),
        listeners_(open_listeners(parse_address("127.0.0.1:0"), 1)),
        thread_([this] { serve(); }) {}
  CountedServer(const CountedServer&) = delete;
  CountedServer& operator=(const CountedServer&) = delete;
  ~CountedServer() {
    shared_.stage.store(Stage::kDraining);
    shared_.hub.waker(0).wake();
    thread_.join();
  }

  int port() const { return listeners_.address.port(); }
  // Up to the last input that it has handled.
  std::uint64_t allocations() const { return counts_.ours; }
  std::uint64_t openssl_allocations() const { return counts_.openssl; }

 private:
  void serve() {
    EchoHandler handler({});
    Session session(shared_, 0, handler);
    std::optional<TlsEngine> tls;
    if (tls_ != nullptr) tls.emplace(*tls_, session);
    Counting counting(tls ? static_cast<Handler&>(*tls) : session, counts_);
    const auto engine = make_engine({.kind = engine_,
                                     .listen_fd = listeners_.sockets[0].get(),
                                     .wake_fd = shared_.hub.waker(0).fd()},
                                    counting, shared_.pages.worker(0));
    if (tls) tls->attach(*engine);
    session.attach(tls ? static_cast<Engine&>(*tls) : *engine);
    engine->run();
  }

  EngineKind engine_;
  const tls::Context* tls_;
  Counts counts_;
  SharedState shared_;
  Listeners listeners_;
  std::thread thread_;
};

std::uint64_t allocations_of(CountedServer& server, TestClient& client, const testing::Bytes& input,
                             int rounds, int answers) {
  const std::uint64_t before = server.allocations();
  for (int i = 0; i < rounds; ++i) {
    client.send_raw(input);
    for (int k = 0; k < answers; ++k) {
      EXPECT_EQ(client.receive().kind, ws::Event::Kind::kMessage);
    }
  }
  return server.allocations() - before;
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
  CountedServer server(GetParam(), {.max_connections = 10});
  TestClient client = TestClient::open(server.port());
  const testing::Bytes message = testing::client_frame(ws::Opcode::kText, testing::Bytes(20, 'x'));
  allocations_of(server, client, message, 10, 1);
  EXPECT_EQ(allocations_of(server, client, message, 1009, 1), 0U);
}

TEST_P(Allocation, NorDoPipelinedMessages) {
  CountedServer server(GetParam(), {.max_connections = 10});
  TestClient client = TestClient::open(server.port());
  testing::Bytes input;
  for (int i = 0; i < 16; ++i) {
    const auto frame = testing::client_frame(ws::Opcode::kBinary, testing::Bytes(100, 7));
    input.insert(input.end(), frame.begin(), frame.end());
  }
  allocations_of(server, client, input, 10, 16);
  // More than all receive buffers of the io_uring engine hold: no message is cut where one ends.
  EXPECT_EQ(allocations_of(server, client, input, 1009, 16), 0U);
}

// Of an idle connection: the server pings, the client answers, and both wait.
TEST_P(Allocation, NorDoPings) {
  CountedServer server(GetParam(), {.max_connections = 10, .idle_timeout_ns = 500'000'000});
  TestClient client = TestClient::open(server.port());
  const auto answer_pings = [&](int count) {
    for (int i = 0; i < count; ++i) {
      EXPECT_EQ(client.receive().kind, ws::Event::Kind::kPing);
      client.send(ws::Opcode::kPong, "");
    }
  };
  answer_pings(2);
  const std::uint64_t before = server.allocations();
  answer_pings(5);
  EXPECT_EQ(server.allocations() - before, 0U);
}

const ws::UpgradeOffer kDeflate = {{}, ws::DeflateTerms{}};

// zlib's memory is counted, too: it comes from operator new.
TEST_P(Allocation, NorDoCompressedMessagesOfSharedCompressors) {
  CountedServer server(
      GetParam(),
      {.max_connections = 10, .compression = {.mode = ws::CompressionOptions::Mode::kShared}});
  TestClient client = TestClient::open(server.port(), "/", 0, kDeflate);
  ASSERT_TRUE(client.deflate());
  ws::Compression compression({});
  // The last ones are put together from pieces.
  for (const std::size_t size : {200U, 2000U, 60'000U, 200'000U}) {
    const testing::Bytes text = testing::json_text(size, 1);
    const testing::Bytes message =
        testing::client_frame(ws::Opcode::kText, compression.deflate(text, 15), true, true);
    allocations_of(server, client, message, 10, 1);
    EXPECT_EQ(allocations_of(server, client, message, 101, 1), 0U) << size;
  }
}

TEST_P(Allocation, NorDoThoseOfADedicatedOneOnceItIsThere) {
  CountedServer server(
      GetParam(),
      {.max_connections = 10, .compression = {.mode = ws::CompressionOptions::Mode::kDedicated}});
  TestClient client = TestClient::open(server.port(), "/", 0, kDeflate);
  ws::Compression compression({});
  const testing::Bytes text = testing::json_text(2000, 1);
  const testing::Bytes message =
      testing::client_frame(ws::Opcode::kText, compression.deflate(text, 15), true, true);
  EXPECT_GT(allocations_of(server, client, message, 10, 1), 0U);
  EXPECT_EQ(allocations_of(server, client, message, 101, 1), 0U);
}

TEST_P(Allocation, NorDoMessagesOverTlsButForOpenSslsOwn) {
  ASSERT_EQ(openssl_is_counted, 1);
  const testing::IdentityFiles files;
  const tls::Context context(
      {.certificate_file = files.certificate(), .key_file = files.key(), .early_paths = {}});
  CountedServer server(GetParam(), {.max_connections = 10}, &context);
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
    const std::uint64_t ours = server.allocations();
    const std::uint64_t theirs = server.openssl_allocations();
    echo(size, kRounds);
    EXPECT_EQ(server.allocations() - ours, 0U) << size;
    const double each = static_cast<double>(server.openssl_allocations() - theirs) / kRounds;
    std::printf("OpenSSL's allocations per echo of %zu bytes: %.2f\n", size, each);
    EXPECT_GT(each, 0);
    EXPECT_LE(each, 6);  // A buffer and a 40-byte note to read, a buffer and three notes to write.
  }
}

// That the counter counts: a message in two fragments needs a buffer.
TEST_P(Allocation, AFragmentedMessageIsCounted) {
  CountedServer server(GetParam(), {.max_connections = 10});
  TestClient client = TestClient::open(server.port());
  testing::Bytes input = testing::client_frame(ws::Opcode::kText, testing::Bytes(20, 'x'), false);
  const auto rest = testing::client_frame(ws::Opcode::kContinuation, testing::Bytes(20, 'x'));
  input.insert(input.end(), rest.begin(), rest.end());
  EXPECT_GT(allocations_of(server, client, input, 10, 1), 0U);
}

}  // namespace
}  // namespace epulse::server
