// The real program, over real sockets.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <ctime>
#include <fstream>
#include <memory>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "server/contract/stats_page.h"
#include "tests/server/child.hpp"
#include "tests/server/counters.hpp"
#include "tests/server/sanitizer.hpp"
#include "tests/server/test_client.hpp"

namespace epulse::testing {
namespace {

using Kind = ws::Event::Kind;
using ws::CloseCode;
using ws::Opcode;

TEST(Echo, SizesAroundEveryLengthForm) {
  ServerChild server;
  TestClient client = TestClient::open(server.port());
  for (const std::size_t size : {0U, 1U, 125U, 126U, 65535U, 65536U, 1U << 20U}) {
    for (const Opcode opcode : {Opcode::kText, Opcode::kBinary}) {
      std::string payload(size, 'a');
      for (std::size_t i = 0; i < size; ++i) payload[i] = static_cast<char>('a' + i % 26);
      client.send(opcode, payload);
      const Received answer = client.receive();
      ASSERT_EQ(answer.kind, Kind::kMessage) << size;
      EXPECT_EQ(answer.opcode, opcode) << size;
      EXPECT_EQ(text_of(answer.payload), payload) << size;
    }
  }
}

// Of the kind that costs no read from disk, by all threads.
std::uint64_t page_faults(pid_t pid) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/stat");
  std::string text;
  std::getline(file, text);
  std::istringstream fields(text.substr(text.rfind(')') + 2));  // from the third on (proc(5))
  std::string field;
  for (int number = 3; number <= 10; ++number) fields >> field;
  return std::stoull(field);
}

// Each would otherwise fetch its pages from the kernel anew, which costs more than the echo.
TEST(Echo, LargeMessagesUseTheMemoryOfEarlierOnes) {
  if (has_sanitizer()) GTEST_SKIP() << "a sanitizer's memory is not the server's";
  ServerChild server({"--workers", "1"});
  std::vector<TestClient> clients;
  clients.reserve(8);
  for (int i = 0; i < 8; ++i) clients.push_back(TestClient::open(server.port()));
  const std::string payload(300'000, 'x');
  const auto echo = [&](int rounds) {
    for (int round = 0; round < rounds; ++round) {
      for (TestClient& client : clients) client.send(Opcode::kBinary, payload);
      for (TestClient& client : clients) {
        ASSERT_EQ(client.receive().payload.size(), payload.size());
      }
    }
  };
  echo(3);
  const std::uint64_t before = page_faults(server.child().pid());
  echo(10);
  EXPECT_LT((page_faults(server.child().pid()) - before) / 80, 10U) << "of 73 pages each";
}

TEST(Echo, FragmentsWithAPingInBetween) {
  ServerChild server;
  TestClient client = TestClient::open(server.port());
  client.send(Opcode::kText, "one \xE2\x82", false);
  client.send(Opcode::kPing, "are you there");
  client.send(Opcode::kContinuation, "\xAC two", false);
  client.send(Opcode::kContinuation, "");
  const Received pong = client.receive();
  EXPECT_EQ(pong.kind, Kind::kPong);
  EXPECT_EQ(text_of(pong.payload), "are you there");
  EXPECT_EQ(text_of(client.receive().payload), "one \xE2\x82\xAC two");
}

TEST(Echo, RequestAndFramesByteByByte) {
  ServerChild server;
  TestClient client(server.port());
  const std::string request =
      "GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
      "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r";
  for (const char c : request) client.send_raw(bytes_of(std::string(1, c)));
  EXPECT_TRUE(client.request("\n").starts_with("HTTP/1.1 101 "));
  for (const std::uint8_t byte : client_frame(Opcode::kText, bytes_of("slowly"))) {
    client.send_raw(std::span(&byte, 1));
  }
  EXPECT_EQ(text_of(client.receive().payload), "slowly");
}

TEST(Echo, FramesThatCameWithTheRequest) {
  ServerChild server;
  TestClient client(server.port());
  const Bytes frame = client_frame(Opcode::kText, bytes_of("eager"));
  const std::string answer = client.request(
      "GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
      "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n" +
      text_of(frame));
  EXPECT_TRUE(answer.starts_with("HTTP/1.1 101 "));
  EXPECT_EQ(text_of(client.receive().payload), "eager");
}

// Who does not read what it asked for is not read: the server keeps a bounded amount for it, and
// all arrives in the end.
TEST(Echo, AClientThatDoesNotReadIsHeldBackAndLosesNothing) {
  ServerChild server({"--workers", "1"});
  TestClient client = TestClient::open(server.port(), "/", 4096);
  const Bytes frame = client_frame(Opcode::kBinary, Bytes(60'000, 1));
  std::size_t sent = 0;
  std::size_t offset = 0;
  // Until the socket has taken nothing for a while, although the server would have had the time.
  const auto full = [&] {
    const std::size_t n = client.send_some(std::span(frame).subspan(offset));
    offset = (offset + n) % frame.size();
    sent += n;
    return n == 0;
  };
  int quiet = 0;
  ASSERT_TRUE(eventually([&] {
    quiet = full() ? quiet + 1 : 0;
    return quiet > 50;
  }));
  TestClient other = TestClient::open(server.port());
  other.send(Opcode::kText, "not held up");
  EXPECT_EQ(text_of(other.receive().payload), "not held up");
  if (offset != 0) {
    std::thread rest([&] { client.send_raw(std::span(frame).subspan(offset)); });
    const std::size_t messages = sent / frame.size() + 1;
    for (std::size_t i = 0; i < messages; ++i) {
      ASSERT_EQ(client.receive().payload.size(), 60'000U) << i << " of " << messages;
    }
    rest.join();
  }
}

TEST(Breach, MalformedFrameIsAnswered1002) {
  ServerChild server;
  TestClient client = TestClient::open(server.port());
  client.send_raw(Bytes{0xF1, 0x80, 0, 0, 0, 0});
  expect_close(client, CloseCode::kProtocolError);
  EXPECT_EQ(stat(server.port(), "protocol_errors"), 1U);
}

TEST(Breach, BadUtf8IsAnswered1007) {
  ServerChild server;
  TestClient client = TestClient::open(server.port());
  client.send(Opcode::kText, "\xFF");
  expect_close(client, CloseCode::kInvalidPayload);
}

TEST(Breach, TooBigIsAnswered1009) {
  ServerChild server({"--max-message", "1000"});
  TestClient client = TestClient::open(server.port());
  client.send(Opcode::kText, std::string(1000, 'x'));
  EXPECT_EQ(client.receive().payload.size(), 1000U);
  client.send(Opcode::kText, std::string(1001, 'x'));
  expect_close(client, CloseCode::kTooBig);
}

TEST(Closing, CloseIsEchoedWithItsCodeAndTheServerEndsFirst) {
  ServerChild server;
  {
    TestClient client = TestClient::open(server.port());
    client.send(Opcode::kClose, "\x0F\xA0");  // 4000
    expect_close(client, static_cast<CloseCode>(4000));
  }
  EXPECT_TRUE(eventually([&] { return stat(server.port(), "connections") == 0; }));
}

// The echo of a large message is still queued when the client's close frame is read, and the client
// needs longer for it than the two seconds that a closing peer has for its answer.
TEST(Closing, ASlowReaderGetsAllThatWasSaidBeforeTheCloseFrame) {
  ServerChild server({"--workers", "1"});
  TestClient client = TestClient::open(server.port(), "/", 4096);
  const std::string text(8'000'000, 'x');
  Bytes stream = client_frame(Opcode::kBinary, bytes_of(text));
  const Bytes close = client_frame(Opcode::kClose, bytes_of("\x0F\xA0"));  // 4000
  // The last bytes of the message come together with the close frame.
  Bytes last(stream.end() - 10, stream.end());
  stream.resize(stream.size() - 10);
  last.insert(last.end(), close.begin(), close.end());
  client.send_raw(stream);
  ASSERT_TRUE(eventually([&] { return stat(server.port(), "bytes_in") >= stream.size(); }));
  client.send_raw(last);
  shutdown(client.fd(), SHUT_WR);
  std::vector<std::uint8_t> received;
  Bytes buffer(1 << 16);
  for (int i = 0; i < 100; ++i) {  // for at least four seconds
    std::this_thread::sleep_for(milliseconds(40));
    const ssize_t n = recv(client.fd(), buffer.data(), 16384, MSG_DONTWAIT);
    if (n > 0) received.insert(received.end(), buffer.begin(), buffer.begin() + n);
  }
  ssize_t n = 0;
  while ((n = recv(client.fd(), buffer.data(), buffer.size(), 0)) > 0) {
    received.insert(received.end(), buffer.begin(), buffer.begin() + n);
  }
  EXPECT_EQ(n, 0) << "the stream ends with FIN, not with a reset";
  ASSERT_EQ(received.size(), 10 + text.size() + 4);  // two headers, two bytes of code
  EXPECT_EQ(text_of(std::span(received).last(4)), "\x88\x02\x0F\xA0");
  EXPECT_TRUE(eventually([&] { return stat(server.port(), "connections") == 0; }));
}

// Who takes nothing at all is not waited for.
TEST(Closing, AClientThatReadsNothingIsCutOff) {
  ServerChild server({"--workers", "1"});
  TestClient client = TestClient::open(server.port(), "/", 4096);
  Bytes stream = client_frame(Opcode::kBinary, bytes_of(std::string(8'000'000, 'x')));
  const Bytes close = client_frame(Opcode::kClose, bytes_of("\x0F\xA0"));
  stream.insert(stream.end(), close.begin(), close.end());
  client.send_raw(stream);
  EXPECT_TRUE(eventually([&] { return stat(server.port(), "connections") == 0; }));
}

TEST(Http, HealthStatsAndRefusals) {
  ServerChild server;
  const int port = server.port();
  EXPECT_TRUE(get(port, "/healthz").ends_with("\r\n\r\nok\n"));
  EXPECT_TRUE(get(port, "/healthz").starts_with("HTTP/1.1 200 OK\r\n"));
  EXPECT_NE(get(port, "/stats").find("worker 0 messages_in 0\n"), std::string::npos);
  EXPECT_TRUE(get(port, "/").starts_with("HTTP/1.1 426 "));
  EXPECT_TRUE(get(port, "bad").starts_with("HTTP/1.1 400 "));
  EXPECT_EQ(stat(port, "refused"), 2U);
  EXPECT_THROW(TestClient::open(port, "/topic/"), std::runtime_error);
  EXPECT_THROW(TestClient::open(port, "/topic/a/b"), std::runtime_error);
  EXPECT_TRUE(
      TestClient(port).request("POST / HTTP/1.1\r\nHost: x\r\n\r\n").starts_with("HTTP/1.1 405 "));
  EXPECT_TRUE(TestClient(port)
                  .request("GET / HTTP/1.1\r\nA: " + std::string(9000, 'x'))
                  .starts_with("HTTP/1.1 431 "));
}

TEST(Http, AboveTheLimitOfConnections503) {
  ServerChild server({"--max-connections", "2"});
  TestClient first = TestClient::open(server.port());
  {
    const TestClient second = TestClient::open(server.port());
    EXPECT_THROW(TestClient::open(server.port()), std::runtime_error);
  }
  // The place of the one that left is free again.
  EXPECT_TRUE(eventually([&] {
    try {
      TestClient::open(server.port());
      return true;
    } catch (const std::runtime_error&) {
      return false;
    }
  }));
  first.send(Opcode::kText, "x");
  EXPECT_EQ(first.receive().payload.size(), 1U);
}

TEST(Http, ARequestThatNeverEndsIsCutOff) {
  ServerChild server({"--handshake-timeout", "0.2"});
  TestClient client(server.port());
  client.send_raw(bytes_of("GET / HT"));
  EXPECT_TRUE(client.ended());
}

TEST(Idle, PingedThenClosed) {
  ServerChild server({"--idle-timeout", "2", "--workers", "1"});
  TestClient client = TestClient::open(server.port());
  EXPECT_EQ(client.receive().kind, Kind::kPing);
  EXPECT_TRUE(client.ended());  // It never answered.
}

Bytes sixteen_frames() {
  Bytes input;
  for (int i = 0; i < 16; ++i) {
    const Bytes frame = client_frame(Opcode::kText, bytes_of("message"));
    input.insert(input.end(), frame.begin(), frame.end());
  }
  return input;
}

TEST(Corking, AnswersToOneBatchOfInputLeaveInOneSend) {
  ServerChild server;
  TestClient client = TestClient::open(server.port());
  const std::uint32_t before = segments_in(client);
  client.send_raw(sixteen_frames());
  for (int i = 0; i < 16; ++i) ASSERT_EQ(client.receive().kind, Kind::kMessage);
  EXPECT_EQ(segments_in(client), before + 1);
}

TEST(Corking, SoDoPublicationsToEachSubscriber) {
  ServerChild server({"--workers", "1"});
  TestClient publisher = TestClient::open(server.port(), "/topic/t");
  TestClient subscriber = TestClient::open(server.port(), "/topic/t");
  const std::uint32_t before = segments_in(subscriber);
  publisher.send_raw(sixteen_frames());
  for (int i = 0; i < 16; ++i) {
    ASSERT_EQ(publisher.receive().kind, Kind::kMessage);
    ASSERT_EQ(subscriber.receive().kind, Kind::kMessage);
  }
  EXPECT_EQ(segments_in(subscriber), before + 1);
}

// Other lines are those of a sanitizer, some of whose checks need a descriptor themselves.
std::size_t complaints(const std::string& err) {
  std::size_t count = 0;
  for (std::size_t at = err.find("cannot accept connections: Too many open files");
       at != std::string::npos; at = err.find("cannot accept", at + 1)) {
    ++count;
  }
  return count;
}

TEST(Limits, WithoutDescriptorsItWaitsSaysSoAndGoesOn) {
  const std::string engine = engine_under_test().empty() ? "" : " --engine " + engine_under_test();
  Child server({"/bin/sh", "-c",
                "ulimit -n 40; exec " EPULSE_WS_PATH " --listen 127.0.0.1:0 --workers 1" + engine});
  const std::string line = server.read_line();
  const std::string prefix = "epulse-ws: listening on 127.0.0.1:";
  ASSERT_TRUE(line.starts_with(prefix)) << line;
  const int port = std::stoi(line.substr(prefix.size()));
  std::vector<TestClient> clients;
  bool refused = false;
  // Each answers while there are descriptors; then one waits in the queue.
  while (!refused && clients.size() < 60) {
    clients.emplace_back(port);
    clients.back().send_raw(bytes_of("GET /x HTTP/1.1\r\nHost: x\r\n"));
    refused = eventually([&] { return complaints(server.err_so_far()) > 0; }, milliseconds(20));
  }
  ASSERT_TRUE(refused);
  TestClient waiting(port);
  // It says so about once a second, and does not spin meanwhile.
  EXPECT_TRUE(eventually([&] { return complaints(server.err_so_far()) >= 2; }));
  clients.clear();
  EXPECT_TRUE(waiting.request("GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n").ends_with("ok\n"));
  EXPECT_LT(stat(port, "loop_turns"), 2000U);
  server.signal(SIGTERM);
  EXPECT_EQ(server.wait(), 0);
  EXPECT_LE(complaints(server.err()), 6U) << server.err();
}

TEST(Limits, UnfinishedMessagesOfAllConnectionsAreCapped) {
  const ServerChild server(
      {"--workers", "1", "--max-message", "600000", "--gathering-cap", "1200000"});
  const auto start = [&](TestClient& client, std::size_t bytes) {
    client.send_raw(client_frame(Opcode::kBinary, Bytes(bytes, 1), false));
    client.send(Opcode::kPing, "");  // its pong: so that it was read
    return client.receive();
  };
  const auto end = [](TestClient& client) {
    client.send(Opcode::kContinuation, "end");
    return client.receive().payload.size();
  };
  TestClient small = TestClient::open(server.port());
  EXPECT_EQ(start(small, 20'000).kind, Kind::kPong);
  // Gathered in a buffer that doubles: 500,000 to a million bytes of memory each.
  std::vector<TestClient> greedy;
  for (int i = 0; i < 4; ++i) {
    greedy.push_back(TestClient::open(server.port()));
    greedy.back().send_raw(client_frame(Opcode::kBinary, Bytes(500'000, 1), false));
    ASSERT_TRUE(
        eventually([&] { return stat(server.port(), "gathering_closed") + 2 >= greedy.size(); }));
  }
  // Those who hold much have gone, and not who comes now.
  TestClient late = TestClient::open(server.port());
  EXPECT_EQ(start(late, 400'000).kind, Kind::kPong);  // no room for two of them and this
  EXPECT_EQ(end(late), 400'003U);
  EXPECT_EQ(end(small), 20'003U);
  std::size_t closed = 0;
  for (TestClient& client : greedy) {
    client.send(Opcode::kPing, "");
    if (client.receive().kind == Kind::kClose) ++closed;
  }
  EXPECT_EQ(closed, stat(server.port(), "gathering_closed"));
  EXPECT_GE(closed, 3U);
}

// Half a message, and then a close frame: nobody is closed for what such a client held.
TEST(Limits, WhoHasClosedHoldsNothing) {
  const ServerChild server(
      {"--workers", "1", "--max-message", "600000", "--gathering-cap", "1200000"});
  std::vector<TestClient> gone;
  for (int i = 0; i < 6; ++i) {
    gone.push_back(TestClient::open(server.port()));
    gone.back().send_raw(client_frame(Opcode::kBinary, Bytes(500'000, 1), false));
    gone.back().send_raw(client_frame(Opcode::kClose, Bytes{0x03, 0xE8}));
    EXPECT_EQ(gone.back().receive().kind, Kind::kClose);
  }
  EXPECT_EQ(stat(server.port(), "gathering_closed"), 0U);
}

TEST(Limits, AMessageThatUnfinishedOnesMayNotHoldIsRefusedAtTheStart) {
  for (const char* cap : {"--gathering-cap", "--inflating-cap"}) {
    Child server({EPULSE_WS_PATH, "--compression", "shared", "--max-message", "1000", cap, "1500"});
    EXPECT_EQ(server.wait(), 2);
    EXPECT_NE(server.err().find(cap), std::string::npos) << server.err();
  }
}

// The kernel's FDSize: the table as it is, not what is used of it.
TEST(Limits, TheTableOfDescriptorsIsLargeBeforeItIsNeeded) {
  if (engine_under_test() == "io_uring") GTEST_SKIP() << "its connections are not in that table";
  rlimit limit{};
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &limit), 0);
  ServerChild server;
  std::ifstream status("/proc/" + std::to_string(server.child().pid()) + "/status");
  std::string word;
  while (status >> word && word != "FDSize:") {
  }
  std::uint64_t size = 0;
  status >> size;
  EXPECT_GE(size, std::min<std::uint64_t>(limit.rlim_max, 65536));
}

TEST(Program, APortInUseIsAlwaysAnError) {
  ServerChild server;
  const std::string address = "127.0.0.1:" + std::to_string(server.port());
  Child second({EPULSE_WS_PATH, "--listen", address});
  EXPECT_EQ(second.wait(), 2);
  EXPECT_EQ(second.err(), "epulse-ws: cannot listen on " + address +
                              ": Address already in use; choose another port with --listen or "
                              "stop the process that holds it\n");
  EXPECT_EQ(second.out(), "");
}

TEST(Program, APortOfAStrangerIsAnErrorEvenIfItShares) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const int on = 1;
  setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  ASSERT_EQ(bind(fd, reinterpret_cast<const sockaddr*>(&address), size), 0);
  ASSERT_EQ(listen(fd, 1), 0);
  getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size);
  Child server(
      {EPULSE_WS_PATH, "--listen", "127.0.0.1:" + std::to_string(ntohs(address.sin_port))});
  EXPECT_EQ(server.wait(), 2);
  EXPECT_NE(server.err().find("Address already in use"), std::string::npos);
  close(fd);
}

TEST(Program, ThePortIsFreeAgainAfterAnExitWithConnections) {
  auto first = std::make_unique<ServerChild>();
  const std::string address = "127.0.0.1:" + std::to_string(first->port());
  TestClient client = TestClient::open(first->port());
  first->child().signal(SIGKILL);
  EXPECT_EQ(first->child().wait(), 128 + SIGKILL);
  Child second({EPULSE_WS_PATH, "--listen", address});
  EXPECT_TRUE(second.read_line().starts_with("epulse-ws: listening on " + address));
}

TEST(Program, UsageErrorsAreOneLineAndStatus2) {
  for (const std::vector<std::string>& arguments : {std::vector<std::string>{"--no-such-option"},
                                                    {"--workers", "many"},
                                                    {"--listen", "here"}}) {
    std::vector<std::string> command = {EPULSE_WS_PATH};
    command.insert(command.end(), arguments.begin(), arguments.end());
    Child child(command);
    EXPECT_EQ(child.wait(), 2);
    EXPECT_TRUE(child.err().starts_with("epulse-ws: ")) << child.err();
    EXPECT_EQ(std::count(child.err().begin(), child.err().end(), '\n'), 1) << child.err();
  }
  Child version({EPULSE_WS_PATH, "--version"});
  EXPECT_EQ(version.wait(), 0);
  EXPECT_EQ(version.out(), "epulse-ws " EPULSE_VERSION "\n");
}

TEST(Program, SigtermSays1001ToEveryoneAndExits0) {
  ServerChild server({"--workers", "2"});
  std::vector<TestClient> clients;
  clients.reserve(16);
  for (int i = 0; i < 16; ++i) clients.push_back(TestClient::open(server.port()));
  server.child().signal(SIGTERM);
  for (TestClient& client : clients) {
    const Received answer = client.receive();
    EXPECT_EQ(answer.kind, Kind::kClose);
    EXPECT_EQ(answer.code, CloseCode::kGoingAway);
    client.send(Opcode::kClose, "\x03\xE9");
  }
  for (TestClient& client : clients) EXPECT_TRUE(client.ended());
  clients.clear();
  // All have answered, so there is nothing to wait for.
  EXPECT_EQ(server.child().wait(milliseconds(1500)), 0);
  EXPECT_EQ(server.child().err(), "");
}

TEST(Program, ADrainEndsAtItsDeadlineWithClientsThatDoNotAnswer) {
  ServerChild server;
  TestClient client = TestClient::open(server.port());
  const auto start = std::chrono::steady_clock::now();
  server.child().signal(SIGINT);
  EXPECT_EQ(server.child().wait(), 0);
  EXPECT_GE(std::chrono::steady_clock::now() - start, milliseconds(1900));
  EXPECT_LT(std::chrono::steady_clock::now() - start, milliseconds(6000));
}

// The page as a reader in another process sees it.
TEST(Program, StatsPageFollowsTheContractAndIsGoneAfterwards) {
  ServerChild server({"--workers", "2"});
  auto connection = std::make_unique<TestClient>(TestClient::open(server.port()));
  TestClient& client = *connection;
  for (int i = 0; i < 7; ++i) {
    client.send(Opcode::kText, "x");
    client.receive();
  }
  const std::string name = "/epulse-ws." + std::to_string(server.child().pid());
  const int fd = shm_open(name.c_str(), O_RDONLY, 0);
  ASSERT_GE(fd, 0);
  const std::size_t size = std::size_t{3} * EPULSE_STATS_PAGE_BYTES;
  void* base = mmap(nullptr, size, PROT_READ, MAP_SHARED, fd, 0);
  ASSERT_NE(base, MAP_FAILED);
  const auto* header = static_cast<const epulse_stats_header*>(base);
  EXPECT_EQ(header->magic, EPULSE_STATS_MAGIC);
  EXPECT_EQ(header->version, __u32{EPULSE_STATS_VERSION});
  EXPECT_EQ(header->pid, static_cast<__u32>(server.child().pid()));
  EXPECT_EQ(header->workers, 2U);
  EXPECT_EQ(header->page_bytes, __u32{EPULSE_STATS_PAGE_BYTES});
  std::uint64_t in = 0;
  std::uint64_t out = 0;
  std::uint64_t open = 0;
  for (std::size_t k = 1; k <= 2; ++k) {
    const auto* page = reinterpret_cast<const epulse_stats_worker*>(static_cast<const char*>(base) +
                                                                    k * EPULSE_STATS_PAGE_BYTES);
    in += page->messages_in;
    out += page->messages_out;
    open += page->connections;
    EXPECT_EQ(page->bytes_in > 0, page->events > 0 && page->accepted > 0);
  }
  EXPECT_EQ(in, 7U);
  EXPECT_EQ(out, 7U);
  EXPECT_EQ(open, 1U);
  munmap(base, size);
  close(fd);
  connection.reset();
  server.child().signal(SIGTERM);
  EXPECT_EQ(server.child().wait(), 0);
  EXPECT_LT(shm_open(name.c_str(), O_RDONLY, 0), 0);
}

std::vector<int> allowed_cpus() {
  cpu_set_t set;
  sched_getaffinity(0, sizeof set, &set);
  std::vector<int> cpus;
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (CPU_ISSET(static_cast<std::size_t>(cpu), &set)) cpus.push_back(cpu);
  }
  return cpus;
}

// The start line is what scripts read, so it has to be true of the threads.
TEST(Program, WorkersArePinnedOnePerAllowedCpuAndNamed) {
  const std::vector<int> cpus = allowed_cpus();
  ServerChild server;
  EXPECT_NE(server.start_line().find(", " + std::to_string(cpus.size()) + " worker"),
            std::string::npos)
      << server.start_line();
  const std::string& line = server.start_line();
  std::size_t k = 0;
  for (std::size_t at = line.find("tid "); at != std::string::npos;
       at = line.find("tid ", at + 1), ++k) {
    int tid = 0;
    int cpu = -1;
    std::string word;
    std::istringstream(line.substr(at)) >> word >> tid >> word >> word >> cpu;
    ASSERT_LT(k, cpus.size());
    EXPECT_EQ(cpu, cpus[k]);
    cpu_set_t set;
    ASSERT_EQ(sched_getaffinity(tid, sizeof set, &set), 0);
    EXPECT_EQ(CPU_COUNT(&set), 1);
    EXPECT_TRUE(CPU_ISSET(static_cast<std::size_t>(cpu), &set));
    std::ifstream comm("/proc/" + std::to_string(tid) + "/comm");
    std::string name;
    std::getline(comm, name);
    EXPECT_EQ(name, "ws-worker-" + std::to_string(k));
  }
  EXPECT_EQ(k, cpus.size());
}

std::chrono::nanoseconds cpu_time(pid_t pid) {
  clockid_t clock{};
  timespec time{};
  EXPECT_EQ(clock_getcpuclockid(pid, &clock), 0);
  EXPECT_EQ(clock_gettime(clock, &time), 0);
  return std::chrono::seconds(time.tv_sec) + std::chrono::nanoseconds(time.tv_nsec);
}

// Else two workers on one CPU would each get done what it was to do, and scenes of that show
// nothing.
TEST(Program, TheHandlerDelayIsCpuTimeAlsoOnASharedCpu) {
  constexpr int kMessages = 20;
  constexpr auto kDelay = milliseconds(10);
  ServerChild server({"--workers", "1", "--handler-delay-us", "10000"});
  Child sharer({"/usr/bin/taskset", "-c", std::to_string(allowed_cpus().front()), "sh", "-c",
                "while :; do :; done"});
  TestClient client = TestClient::open(server.port());
  const auto before = cpu_time(server.child().pid());
  for (int k = 0; k < kMessages; ++k) {
    client.send(Opcode::kBinary, "burn");
    ASSERT_EQ(text_of(client.receive().payload), "burn");
  }
  EXPECT_GE(cpu_time(server.child().pid()) - before, kMessages * kDelay);
  EXPECT_GE(cpu_time(sharer.pid()), kDelay) << "nobody shared the CPU: " << sharer.err_so_far();
}

TEST(Program, NoPinLeavesTheMaskAlone) {
  ServerChild server({"--no-pin", "--workers", "3"});
  EXPECT_NE(server.start_line().find("3 workers (tid "), std::string::npos);
  EXPECT_EQ(server.start_line().find("CPU"), std::string::npos);
}

}  // namespace
}  // namespace epulse::testing
