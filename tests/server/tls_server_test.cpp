// The real server over TLS, over real sockets.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <csignal>
#include <fstream>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "server/ws/client_handshake.hpp"
#include "tests/server/child.hpp"
#include "tests/server/sanitizer.hpp"
#include "tests/server/wss_client.hpp"

namespace epulse::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;
using ws::CloseCode;
using ws::Opcode;
using Kind = ws::Event::Kind;

std::vector<std::string> tls_options(const IdentityFiles& files,
                                     const std::vector<std::string>& more = {}) {
  std::vector<std::string> options = {"--tls-cert", files.certificate(), "--tls-key", files.key()};
  options.insert(options.end(), more.begin(), more.end());
  return options;
}

std::string echo(WssClient& client, const std::string& text) {
  client.send(Opcode::kText, text);
  return text_of(client.receive().payload);
}

TEST(TlsServer, EchoesAndClosesCleanly) {
  const IdentityFiles files;
  ServerChild server(tls_options(files));
  EXPECT_THAT(server.start_line(), HasSubstr(", tls, pid "));
  WssClient client = WssClient::open(server.port());
  for (const std::size_t size : {0U, 1U, 20U, 16384U, 100'000U, 2'000'000U}) {
    EXPECT_TRUE(echo(client, std::string(size, 'x')) == std::string(size, 'x')) << size;
  }
  client.send(Opcode::kClose, "");
  EXPECT_EQ(client.receive().kind, Kind::kClose);
  EXPECT_TRUE(client.ended());
}

TEST(TlsServer, AnswersPlainRequestsOverTls) {
  const IdentityFiles files;
  ServerChild server(tls_options(files));
  WssClient client(server.port());
  EXPECT_THAT(client.request("GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"),
              StartsWith("HTTP/1.1 200 "));
  EXPECT_TRUE(client.ended());
}

TEST(TlsServer, RefusesWhoDoesNotSpeakTls) {
  const IdentityFiles files;
  ServerChild server(tls_options(files));
  TestClient client(server.port());
  const std::string answer = client.request("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_EQ(answer.find("HTTP"), std::string::npos);
  EXPECT_TRUE(client.ended());
  EXPECT_TRUE(eventually([&] {
    return server.child().err_so_far().find(
               "TLS failed on 1 connection since the last report; on "
               "the latest: http request") != std::string::npos;
  }));
}

// To say 429 would take the handshake that the limit is to save.
TEST(TlsServer, WhoComesAboveTheLimitOfItsAddressIsResetAtOnce) {
  const IdentityFiles files;
  ServerChild server(tls_options(files, {"--max-per-address", "1"}));
  {
    WssClient first = WssClient::open(server.port());
    TestClient second(server.port());
    EXPECT_TRUE(second.ended(milliseconds(700)));  // Who is told waits a second for the request.
    EXPECT_TRUE(second.was_reset());
    EXPECT_EQ(echo(first, "still served"), "still served");
  }
  const auto served = [&] {
    try {
      WssClient::open(server.port());
      return true;
    } catch (const std::runtime_error&) {
      return false;
    }
  };
  EXPECT_TRUE(eventually(served));
}

TEST(TlsServer, VersionsByOption) {
  const IdentityFiles files;
  const ClientSettings old{.version_min = TLS1_2_VERSION, .version_max = TLS1_2_VERSION};
  ServerChild strict(tls_options(files));
  EXPECT_THROW(WssClient(strict.port(), old), std::runtime_error);
  ServerChild lenient(tls_options(files, {"--tls-min", "1.2"}));
  WssClient client(lenient.port(), old);
  EXPECT_THAT(client.request("GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"),
              StartsWith("HTTP/1.1 200 "));
}

TEST(TlsServer, HangupReloadsForNewConnectionsAndKeepsTheOld) {
  const IdentityFiles files("first");
  ServerChild server(tls_options(files, {"--workers", "2"}));
  std::vector<WssClient> old;
  old.reserve(8);
  for (int i = 0; i < 8; ++i) old.push_back(WssClient::open(server.port()));
  files.install(make_identity("second"));
  server.child().signal(SIGHUP);
  EXPECT_TRUE(eventually([&] { return WssClient(server.port()).server_name() == "second"; }));
  for (WssClient& client : old) {
    EXPECT_EQ(client.server_name(), "first");
    EXPECT_EQ(echo(client, "still here"), "still here");
  }
  // Garbage: all stays as it is, and it is said why.
  write_text(files.certificate(), "garbage");
  server.child().signal(SIGHUP);
  EXPECT_TRUE(eventually([&] {
    return server.child().err_so_far().find("going on with the certificate loaded before") !=
           std::string::npos;
  }));
  EXPECT_EQ(WssClient(server.port()).server_name(), "second");
  server.child().signal(SIGTERM);
  EXPECT_EQ(server.child().wait(), 0);
  EXPECT_THAT(server.child().err(), HasSubstr(files.certificate()));
  EXPECT_EQ(old[0].receive().code, CloseCode::kGoingAway);
}

TEST(TlsServer, RefusesToStartWithoutAGoodPair) {
  const IdentityFiles files;
  Child child({EPULSE_WS_PATH, "--listen", "127.0.0.1:0", "--tls-cert", files.certificate(),
               "--tls-key", files.certificate()});
  EXPECT_EQ(child.wait(), 2);
  EXPECT_THAT(child.err(), StartsWith("epulse-ws: cannot use the private key"));
  for (const std::vector<std::string>& usage :
       {std::vector<std::string>{"--tls-cert", files.certificate()},
        {"--tls-key", files.key()},
        {"--tls-early-data", "/"},
        {"--tls-cert", files.certificate(), "--tls-key", files.key(), "--tls-early-data", "x"},
        {"--tls-cert", files.certificate(), "--tls-key", files.key(), "--tls-min", "1.1"}}) {
    std::vector<std::string> command = {EPULSE_WS_PATH, "--listen", "127.0.0.1:0"};
    command.insert(command.end(), usage.begin(), usage.end());
    Child wrong(command);
    EXPECT_EQ(wrong.wait(), 2) << usage.back();
  }
}

// Who does not read its echo is held back, and loses nothing.
// A client that writes and reads when it likes, in one thread.
class LooseClient {
 public:
  LooseClient(int port, int receive_buffer) : socket_(port, receive_buffer) {}

  // Sends what the socket takes; whether there was progress.
  bool send_some() {
    const Bytes more = tls_.take_output();
    output_.insert(output_.end(), more.begin(), more.end());
    const std::size_t n = socket_.send_some(std::span(output_).subspan(sent_));
    sent_ += n;
    return n != 0;
  }
  // Takes what has come; whether there was some.
  bool receive_some() {
    const ssize_t n = recv(socket_.fd(), input_.data(), input_.size(), MSG_DONTWAIT);
    if (n <= 0) return false;
    tls_.feed(tls::Part(input_).first(static_cast<std::size_t>(n)));
    if (SSL_is_init_finished(&tls_.ssl()) != 0) received += tls_.read();
    return true;
  }
  bool shake() {
    return eventually([&] {
      const bool done = tls_.shake();
      send_some();
      receive_some();
      return done && unsent() == 0;
    });
  }
  void write(std::string_view text) { tls_.write(text); }
  std::size_t unsent() const { return output_.size() - sent_; }

  std::string received;

 private:
  TestClient socket_;
  MemoryClient tls_;
  Bytes input_ = Bytes(std::size_t{64} * 1024);
  Bytes output_;
  std::size_t sent_ = 0;  // of output_
};

TEST(TlsServer, ASlowReaderOfBigMessages) {
  const IdentityFiles files;
  ServerChild server(tls_options(files, {"--workers", "1"}));
  LooseClient client(server.port(), 4096);
  ASSERT_TRUE(client.shake());
  client.write(ws::upgrade_request("localhost", "/", "dGhlIHNhbXBsZSBub25jZQ=="));
  ASSERT_TRUE(eventually([&] {
    client.send_some();
    client.receive_some();
    return client.received.ends_with("\r\n\r\n");
  }));
  client.received.clear();

  const Bytes text(500'000, 'b');
  const Bytes asked = client_frame(Opcode::kBinary, text);
  std::string expected;
  for (int i = 0; i < 40; ++i) {
    client.write(text_of(asked));
    expected += ws::encode_header({Opcode::kBinary, text.size(), true, {}}).text();
    expected.append(text.begin(), text.end());
  }
  // Until the server has run into the full socket and reads no more.
  int idle = 0;
  ASSERT_TRUE(eventually([&] { return (idle = client.send_some() ? 0 : idle + 1) == 50; }));
  EXPECT_GT(client.unsent(), 0U);
  EXPECT_TRUE(eventually([&] {
    while (client.receive_some()) client.send_some();
    client.send_some();
    return client.received.size() >= expected.size();
  }));
  EXPECT_TRUE(client.received == expected);
}

TEST(TlsServer, TopicsReachSubscribersOnAllWorkers) {
  const IdentityFiles files;
  ServerChild server(tls_options(files, {"--workers", "2"}));
  std::vector<WssClient> members;
  members.reserve(8);
  for (int i = 0; i < 8; ++i) members.push_back(WssClient::open(server.port(), "/topic/t"));
  const std::string text(20'000, 't');
  for (int i = 0; i < 5; ++i) members[0].send(Opcode::kText, text + std::to_string(i));
  for (WssClient& member : members) {
    for (int i = 0; i < 5; ++i) {
      EXPECT_TRUE(text_of(member.receive().payload) == text + std::to_string(i));
    }
  }
}

TEST(TlsServer, AHandshakeThatDoesNotComeToAnEndIsCutOff) {
  const IdentityFiles files;
  ServerChild server(tls_options(files, {"--handshake-timeout", "0.3"}));
  TestClient silent(server.port());
  TestClient slow(server.port());
  slow.send_raw(bytes_of(std::string("\x16\x03\x01\x02\x00\x01", 6)));
  EXPECT_TRUE(silent.ended());
  EXPECT_TRUE(slow.ended());
}

// Memory.

// Anonymous memory of a process, bytes.
std::uint64_t memory_of(pid_t pid) {
  std::ifstream status("/proc/" + std::to_string(pid) + "/status");
  for (std::string word; status >> word;) {
    std::uint64_t kib = 0;
    if (word == "RssAnon:" && status >> kib) return kib * 1024;
  }
  return 0;
}

TEST(TlsServer, AnIdleConnectionNeedsLittleMemory) {
  if (has_sanitizer()) GTEST_SKIP() << "a sanitizer's memory is not the server's";
  constexpr std::uint64_t kBound = 20'000;
  const IdentityFiles files;
  ServerChild server(tls_options(files, {"--workers", "1"}));
  std::vector<WssClient> clients;
  const auto open_more = [&](int count) {
    for (int i = 0; i < count; ++i) {
      clients.push_back(WssClient::open(server.port()));
      EXPECT_EQ(echo(clients.back(), "once"), "once");
    }
  };
  open_more(100);
  const std::uint64_t before = memory_of(server.child().pid());
  open_more(1000);
  const std::uint64_t each = (memory_of(server.child().pid()) - before) / 1000;
  std::printf("memory per idle TLS connection: %lu bytes\n", each);
  EXPECT_GT(each, 1000U);  // That something was measured.
  EXPECT_LT(each, kBound);
}

// Half-open connections, and those that claim the longest hello there is.
TEST(TlsServer, UnfinishedHandshakesNeedLittleMemory) {
  if (has_sanitizer()) GTEST_SKIP() << "a sanitizer's memory is not the server's";
  constexpr int kCount = 1000;
  const IdentityFiles files;
  ServerChild server(tls_options(files, {"--workers", "1"}));
  const auto grown_by = [&](std::string_view opening) {
    const std::uint64_t before = memory_of(server.child().pid());
    std::vector<TestClient> clients;
    for (int i = 0; i < kCount; ++i) {
      clients.emplace_back(server.port());
      clients.back().send_raw(bytes_of(opening));
    }
    WssClient::open(server.port());  // By now it has seen them all.
    const std::uint64_t after = memory_of(server.child().pid());
    return after > before ? (after - before) / kCount : 0;
  };
  const std::uint64_t silent = grown_by("");
  // A record of 16 KB with a hello of 16 KB, and one of 131 KB.
  const std::uint64_t begun = grown_by(std::string_view("\x16\x03\x01\x40\x00\x01\x00\x3f\xf0", 9));
  const std::uint64_t liar = grown_by(std::string_view("\x16\x03\x01\x40\x00\x01\x02\x00\x00", 9));
  std::printf("memory per unfinished handshake: silent %lu, begun %lu, liar %lu bytes\n", silent,
              begun, liar);
  EXPECT_LT(silent, 1000U);
  EXPECT_LT(begun, 60'000U);
  EXPECT_LT(liar, 60'000U);
}

}  // namespace
}  // namespace epulse::testing
