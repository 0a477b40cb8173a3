// Publish and subscribe with the real program, across workers.
#include <gtest/gtest.h>

#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

#include "tests/server/child.hpp"
#include "tests/server/counters.hpp"
#include "tests/server/test_client.hpp"

namespace epulse::testing {
namespace {

using Kind = ws::Event::Kind;
using ws::CloseCode;
using ws::Opcode;

// Subscribers until each worker has some: SO_REUSEPORT decides who gets which.
std::vector<TestClient> subscribers_on_both_workers(int port, const std::string& path) {
  std::vector<TestClient> clients;
  const bool both = eventually([&] {
    clients.push_back(TestClient::open(port, path));
    return clients.size() >= 8 && stat_of_worker(port, 0, "connections") > 0 &&
           stat_of_worker(port, 1, "connections") > 0;
  });
  if (!both) throw std::runtime_error("one worker gets no connections");
  return clients;
}

TEST(Topic, EveryoneGetsEverythingInOrderAcrossWorkers) {
  ServerChild server({"--workers", "2"});
  std::vector<TestClient> clients = subscribers_on_both_workers(server.port(), "/topic/news");
  TestClient stranger = TestClient::open(server.port(), "/topic/other");
  constexpr std::size_t kPublishers = 4;
  constexpr std::size_t kMessages = 251;
  for (std::size_t i = 0; i < kMessages; ++i) {
    for (std::size_t p = 0; p < kPublishers; ++p) {
      clients[p].send(Opcode::kText, std::to_string(p) + " " + std::to_string(i));
    }
  }
  for (TestClient& client : clients) {
    std::vector<std::size_t> next(kPublishers, 0);
    for (std::size_t i = 0; i < kPublishers * kMessages; ++i) {
      const Received message = client.receive();
      ASSERT_EQ(message.kind, Kind::kMessage);
      ASSERT_EQ(message.opcode, Opcode::kText);
      std::istringstream words(text_of(message.payload));
      std::size_t publisher = 0;
      std::size_t number = 0;
      words >> publisher >> number;
      ASSERT_LT(publisher, kPublishers);
      ASSERT_EQ(number, next[publisher]) << "order of publisher " << publisher;
      ++next[publisher];
    }
  }
  stranger.send(Opcode::kBinary, "mine");
  EXPECT_EQ(text_of(stranger.receive().payload), "mine");  // and nothing of the others before it
  EXPECT_EQ(stat(server.port(), "published"), kPublishers * kMessages + 1);
  EXPECT_EQ(stat(server.port(), "delivered"), kPublishers * kMessages * clients.size() + 1);
}

// Whichever worker has the topic's publisher and whichever has the prefix's subscribers.
TEST(Topic, PrefixesHearAcrossWorkersAndDoNotSpeak) {
  ServerChild server({"--workers", "2"});
  std::vector<TestClient> publishers = subscribers_on_both_workers(server.port(), "/topic/a.b");
  std::vector<TestClient> listeners = subscribers_on_both_workers(server.port(), "/topic/a.*");
  const TestClient stranger = TestClient::open(server.port(), "/topic/b.*");
  for (TestClient& publisher : publishers) {
    publisher.send(Opcode::kText, "x");
    for (TestClient& listener : listeners) ASSERT_EQ(text_of(listener.receive().payload), "x");
  }
  EXPECT_EQ(stat(server.port(), "delivered"),
            publishers.size() * (publishers.size() + listeners.size()));
  listeners[0].send(Opcode::kText, "to all");
  EXPECT_EQ(listeners[0].receive().code, CloseCode::kPolicyViolation);
}

TEST(Topic, NamesAreChecked) {
  ServerChild server;
  for (const std::string name : {"", "a*b", "**", "a/b", "a%20b", "a b"}) {
    TestClient client(server.port());
    EXPECT_TRUE(
        client.request(ws::upgrade_request("x", "/topic/" + name, "dGhlIHNhbXBsZSBub25jZQ=="))
            .starts_with(name == "a b" ? "HTTP/1.1 400 " : "HTTP/1.1 404 "))
        << name;
  }
}

TEST(Topic, ASlowSubscriberIsClosedAndHoldsUpNobody) {
  ServerChild server({"--workers", "2", "--backlog-cap", "200000"});
  std::vector<TestClient> clients = subscribers_on_both_workers(server.port(), "/topic/t");
  std::vector<TestClient> slow;
  slow.reserve(4);
  for (int i = 0; i < 4; ++i) {
    slow.push_back(TestClient::open(server.port(), "/topic/t", 4096));
  }
  const std::string payload(50'000, 'x');
  std::size_t published = 0;
  // What the kernel buffers for the slow ones is its own affair; publish until they are over the
  // cap.
  ASSERT_TRUE(eventually([&] {
    clients[0].send(Opcode::kBinary, payload);
    ++published;
    for (TestClient& client : clients) {
      if (client.receive().payload.size() != payload.size()) return false;
    }
    return stat(server.port(), "slow_closed") == slow.size();
  })) << published;
  EXPECT_EQ(stat(server.port(), "slow_closed"), 4U);
  // The count comes first, the connection goes at the end of the turn.
  EXPECT_TRUE(eventually([&] { return stat(server.port(), "connections") == clients.size(); }));
  for (TestClient& client : slow) EXPECT_TRUE(client.ended());
}

TEST(Topic, ASlowSubscriberMayMissMessagesInstead) {
  ServerChild server({"--workers", "1", "--backlog-cap", "200000", "--slow-subscriber", "skip"});
  TestClient fast = TestClient::open(server.port(), "/topic/t");
  TestClient slow = TestClient::open(server.port(), "/topic/t", 4096);
  int published = 0;
  ASSERT_TRUE(eventually([&] {
    fast.send(Opcode::kText, std::to_string(published++) + std::string(50'000, ' '));
    if (fast.receive().payload.size() < 50'000) return false;
    return stat(server.port(), "slow_skipped") >= 3;
  })) << published;
  // Then it reads: what it gets is in order, with a gap, and it is there again for what follows.
  int last = -1;
  int gaps = 0;
  ASSERT_TRUE(eventually([&] {
    fast.send(Opcode::kText, std::to_string(published++) + std::string(50'000, ' '));
    fast.receive();
    const Received message = slow.receive();
    if (message.kind != Kind::kMessage) return false;
    const int number = std::stoi(text_of(message.payload));
    EXPECT_GT(number, last);
    gaps += number == last + 1 ? 0 : 1;
    last = number;
    return gaps > 0;
  })) << last;
  EXPECT_EQ(stat(server.port(), "slow_closed"), 0U);
  EXPECT_EQ(stat(server.port(), "connections"), 2U);
}

// More than the mailbox of the other worker holds: its publisher is held back, and nothing is lost.
TEST(Topic, AFloodBetweenWorkersLosesNothing) {
  ServerChild server({"--workers", "2", "--backlog-cap", "2000000000"});
  std::vector<TestClient> clients = subscribers_on_both_workers(server.port(), "/topic/flood");
  constexpr int kMessages = 30'011;
  Bytes input;
  for (int i = 0; i < kMessages; ++i) {
    const Bytes frame = client_frame(Opcode::kText, bytes_of(std::to_string(i)));
    input.insert(input.end(), frame.begin(), frame.end());
  }
  std::thread publisher([&] { clients[0].send_raw(input); });
  std::vector<std::thread> readers;
  std::vector<int> right(clients.size(), 0);
  for (std::size_t c = 0; c < clients.size(); ++c) {
    readers.emplace_back([&, c] {
      while (right[c] < kMessages &&
             text_of(clients[c].receive().payload) == std::to_string(right[c])) {
        ++right[c];
      }
    });
  }
  publisher.join();
  for (std::thread& reader : readers) reader.join();
  for (const int count : right) EXPECT_EQ(count, kMessages);
}

}  // namespace
}  // namespace epulse::testing
