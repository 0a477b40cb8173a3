// Servers that misbehave: each kind is counted as what it is, in bounded memory, and the load ends.
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
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

}  // namespace
}  // namespace epulse::testing
