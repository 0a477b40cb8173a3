// Servers that misbehave: each kind is counted as what it is, in bounded memory, and the load ends.
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <functional>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "tests/load/fake_server.hpp"
#include "tests/load/load_child.hpp"
#include "tests/server/child.hpp"

namespace epulse::testing {
namespace {

// Serves one connection, until it ends, answering every message with what `spoil` makes of it.
template <typename Spoil>
void serve_one(const Listener& listener, Spoil spoil) {
  FakeConnection connection(listener);
  while (const std::optional<std::vector<Bytes>> messages = connection.read()) {
    for (const Bytes& message : *messages) say(connection.fd(), spoil(message));
  }
}

template <typename Spoil>
std::string load_against(Spoil spoil) {
  const Listener listener;
  std::thread server([&] { serve_one(listener, spoil); });
  Child load(load_command(listener.url(), {"-c", "1", "-r", "101", "-d", "1", "-j"}));
  EXPECT_EQ(load.wait(), 1) << load.err();
  server.join();
  return load.out();
}

TEST(Misbehaviour, WrongBytesAreCountedEach) {
  int count = 0;
  const std::string json = load_against([&count](Bytes payload) {
    if (++count % 10 == 0) payload[payload.size() / 2] ^= 1U;
    return server_frame(ws::Opcode::kBinary, payload);
  });
  EXPECT_EQ(number(json, "wrong_echo"), 10) << json;
  EXPECT_EQ(number(json, "received"), 91) << json;
}

TEST(Misbehaviour, WrongTypeAndUninvitedMessages) {
  const std::string text = load_against(
      [](const Bytes& payload) { return server_frame(ws::Opcode::kText, Bytes(payload.size())); });
  EXPECT_EQ(number(text, "wrong_echo"), 101) << text;
  const std::string twice = load_against([](const Bytes& payload) {
    Bytes frame = server_frame(ws::Opcode::kBinary, payload);
    const Bytes copy = frame;
    frame.insert(frame.end(), copy.begin(), copy.end());
    return frame;
  });
  EXPECT_GT(number(twice, "uninvited"), 0) << twice;
}

TEST(Misbehaviour, BreachOfTheProtocol) {
  const std::string json = load_against([](const Bytes&) { return Bytes{0x83, 0x00}; });
  EXPECT_EQ(number(json, "protocol"), 1) << json;
}

TEST(Misbehaviour, NoAnswer) {
  const std::string json = load_against([](const Bytes&) { return Bytes{}; });
  EXPECT_EQ(number(json, "timeout"), 101) << json;
}

// What the load says of a server of one connection that `behave` is given once it is open.
std::string load_on(const std::function<void(FakeConnection&)>& behave,
                    const std::vector<std::string>& options) {
  const Listener listener;
  std::thread server([&] {
    FakeConnection connection(listener);
    behave(connection);
  });
  std::vector<std::string> all = {"-c", "1", "-d", "0.5", "-j"};
  all.insert(all.end(), options.begin(), options.end());
  Child load(load_command(listener.url(), all));
  EXPECT_EQ(load.wait(), 1) << load.err();
  server.join();
  return load.out();
}

// Until the other side ends the connection, however much it takes.
void flood(int fd, const Bytes& bytes) {
  while (send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL) > 0) {
  }
}

Bytes repeated(const Bytes& bytes, std::size_t times) {
  Bytes all;
  for (std::size_t k = 0; k < times; ++k) all.insert(all.end(), bytes.begin(), bytes.end());
  return all;
}

constexpr double kFewBytes = 48e6;  // the program itself, its buffers and 16 MB that may wait

TEST(Misbehaviour, GarbageInsteadOfAHandshakeIsCountedWhereOthersOpen) {
  const Listener listener;
  std::thread server([&] {
    const int fd = listener.accept_one();
    flood(fd, Bytes(65536, 0xA7));
    close(fd);
    serve_one(listener,
              [](const Bytes& payload) { return server_frame(ws::Opcode::kBinary, payload); });
  });
  Child load(load_command(listener.url(), {"-c", "2", "-d", "0.2", "-j"}));
  EXPECT_EQ(load.wait(), 1) << load.err();
  server.join();
  EXPECT_EQ(number(load.out(), "handshake"), 1) << load.out();
  EXPECT_EQ(number(load.out(), "errors_total"), 1) << load.out();
  EXPECT_GT(number(load.out(), "received"), 0) << load.out();
}

// 128 are opened at once. Where all of them hang, the others are never tried, and did not open
// either.
TEST(Misbehaviour, ConnectionsThatAreNeverTriedAreErrorsToo) {
  const Listener listener;
  std::thread server([&] {
    serve_one(listener,
              [](const Bytes& payload) { return server_frame(ws::Opcode::kBinary, payload); });
  });
  Child load(
      load_command(listener.url(), {"-c", "200", "-d", "0.2", "--open-timeout", "0.5", "-j"}));
  EXPECT_EQ(load.wait(), 1) << load.err();
  server.join();
  EXPECT_EQ(number(load.out(), "opened"), 1) << load.out();
  EXPECT_EQ(number(load.out(), "errors_total"), 199) << load.out();
}

TEST(Misbehaviour, GarbageAfterTheHandshakeIsABreachOfTheProtocol) {
  const std::string json =
      load_on([](FakeConnection& connection) { flood(connection.fd(), Bytes(65536, 0xFF)); }, {});
  EXPECT_EQ(number(json, "protocol"), 1) << json;
  EXPECT_LT(number(json, "generator_peak_bytes"), kFewBytes) << json;
}

TEST(Misbehaviour, AMessageOfManyGigabytesIsNotTaken) {
  const Bytes head = {0x82, 127, 0, 0, 0, 16, 0, 0, 0, 0};
  const std::string json = load_on(
      [&head](FakeConnection& connection) {
        say(connection.fd(), head);
        flood(connection.fd(), Bytes(65536));
      },
      {});
  EXPECT_EQ(number(json, "protocol"), 1) << json;
  EXPECT_LT(number(json, "generator_peak_bytes"), kFewBytes) << json;
}

TEST(Misbehaviour, AnEarlyEndLosesWhatWasOnItsWay) {
  const std::string json = load_on(
      [](FakeConnection& connection) {
        for (int answers = 0; answers < 10;) {
          for (const Bytes& message : connection.read().value_or(std::vector<Bytes>())) {
            say(connection.fd(), server_frame(ws::Opcode::kBinary, message));
            ++answers;
          }
        }
        connection.read();
      },
      {"-r", "202"});
  EXPECT_EQ(number(json, "closed"), 1) << json;
  EXPECT_GE(number(json, "received"), 10) << json;
  EXPECT_GE(number(json, "lost"), 1) << json;
  // Of the 101 that were due, each is accounted for once.
  EXPECT_EQ(number(json, "received") + number(json, "lost") + number(json, "unsent"), 101) << json;
}

TEST(Misbehaviour, AnEndAmidAMessageIsOne) {
  const std::string json = load_on(
      [](FakeConnection& connection) {
        connection.read();
        say(connection.fd(), Bytes{0x82, 20, 1, 2, 3});
      },
      {"-r", "202"});
  EXPECT_EQ(number(json, "closed"), 1) << json;
  EXPECT_EQ(number(json, "received"), 0) << json;
}

TEST(Misbehaviour, AServerThatNeverReadsFillsNoMemory) {
  const Listener listener;
  Child load(
      load_command(listener.url(), {"-c", "1", "-d", "0.5", "-s", "65536", "-r", "4000", "-j"}));
  const FakeConnection connection(listener);
  EXPECT_EQ(load.wait(), 1) << load.err();
  EXPECT_EQ(number(load.out(), "timeout"), 2000) << load.out();  // 131 MB
  EXPECT_EQ(number(load.out(), "received"), 0) << load.out();
  EXPECT_LT(number(load.out(), "generator_peak_bytes"), kFewBytes) << load.out();
}

TEST(Misbehaviour, AServerThatNeverShakesHandsIsGivenUp) {
  const Listener listener;
  Child load(load_command(listener.url(), {"-c", "3", "--open-timeout", "0.2"}));
  EXPECT_EQ(load.wait(), 2);
  EXPECT_NE(load.err().find("no answer in time"), std::string::npos) << load.err();
}

TEST(Misbehaviour, AFloodOfMessagesIsCountedAndEnds) {
  const Bytes messages = repeated(server_frame(ws::Opcode::kBinary, Bytes(1000, 'x')), 100);
  const std::string json =
      load_on([&](FakeConnection& connection) { flood(connection.fd(), messages); }, {"-r", "10"});
  EXPECT_GT(number(json, "uninvited"), 100) << json;
  EXPECT_LT(number(json, "generator_peak_bytes"), kFewBytes) << json;
}

TEST(Misbehaviour, AFloodOfPingsByOneThatReadsNoPongsFillsNoMemory) {
  const Bytes pings = repeated(server_frame(ws::Opcode::kPing, Bytes(125, 'x')), 500);
  const std::string json =
      load_on([&](FakeConnection& connection) { flood(connection.fd(), pings); }, {"-r", "10"});
  EXPECT_EQ(number(json, "timeout"), 5) << json;
  EXPECT_LT(number(json, "generator_peak_bytes"), kFewBytes) << json;
}

}  // namespace
}  // namespace epulse::testing
