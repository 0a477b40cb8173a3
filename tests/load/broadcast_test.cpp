// The real load generator on topics: of the real server, and of one that misbehaves.
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "tests/load/fake_server.hpp"
#include "tests/load/load_child.hpp"
#include "tests/load/server_counts.hpp"
#include "tests/server/child.hpp"
#include "tools/load/stamp.hpp"

namespace epulse::testing {
namespace {

constexpr std::size_t kSubscribers = 3;

std::vector<std::string> broadcast_command(const std::string& url,
                                           const std::vector<std::string>& options) {
  std::vector<std::string> all = {"--broadcast", "-c", std::to_string(kSubscribers), "-j"};
  all.insert(all.end(), options.begin(), options.end());
  return load_command(url, all);
}

TEST(Broadcast, EveryDeliveryIsCounted) {
  ServerChild server({"--compression", "shared"});
  for (const std::vector<std::string>& options :
       {std::vector<std::string>{"--window", "1"},
        {"--window", "16", "--publishers", "2"},
        {"--window", "2", "--publishers", "3", "-t", "2", "-s", "70000"},
        {"--window", "4", "--publishers", "1", "-t", "3"},
        {"--window", "2", "--compression", "-s", "300"}}) {
    const std::uint64_t before = messages_in(server.port());
    std::vector<std::string> all = {"-d", "0.3"};
    all.insert(all.end(), options.begin(), options.end());
    Child load(broadcast_command(server.url("/topic/x"), all));
    ASSERT_EQ(load.wait(), 0) << load.out() << load.err();
    EXPECT_NE(load.out().find("\"mode\":\"broadcast\""), std::string::npos);
    const double sent = number(load.out(), "sent");
    EXPECT_GT(sent, 0) << load.out();
    EXPECT_EQ(number(load.out(), "received"), sent * kSubscribers) << load.out();
    EXPECT_EQ(number(load.out(), "window"), std::stod(options[1])) << load.out();
    EXPECT_GT(number(load.out(), "p50_us"), 0);
    EXPECT_LE(number(load.out(), "p999_us"), number(load.out(), "max_us"));
    EXPECT_EQ(static_cast<double>(messages_in(server.port()) - before), sent);
  }
}

TEST(Broadcast, OpenLoopPublishesExactlyWhatIsDue) {
  ServerChild server;
  // More threads than publishers: one has nothing to send.
  Child load(broadcast_command(server.url("/topic/x"),
                               {"-r", "1013", "-d", "1", "--publishers", "2", "-t", "3"}));
  ASSERT_EQ(load.wait(), 0) << load.out() << load.err();
  EXPECT_EQ(number(load.out(), "sent"), 1013);
  EXPECT_EQ(number(load.out(), "received"), 1013 * kSubscribers);
  EXPECT_EQ(number(load.out(), "publishers"), 2);
}

TEST(Broadcast, WhoOnlyListensChecksWhatAnotherProcessPublishes) {
  ServerChild server;
  Child listener(broadcast_command(server.url("/topic/x"), {"--publishers", "0", "-d", "30"}));
  ASSERT_TRUE(
      eventually([&] { return server_count(server.port(), "connections") == kSubscribers; }));
  Child publisher(load_command(server.url("/topic/x"),
                               {"--broadcast", "-c", "1", "-r", "100", "-d", "0.5", "-j"}));
  ASSERT_EQ(publisher.wait(), 0) << publisher.out() << publisher.err();
  ASSERT_TRUE(eventually(
      [&] { return server_count(server.port(), "delivered") == 50 * (kSubscribers + 1); }));
  listener.signal(SIGTERM);
  ASSERT_EQ(listener.wait(), 0) << listener.out() << listener.err();
  EXPECT_EQ(number(listener.out(), "publishers"), 0);
  EXPECT_EQ(number(listener.out(), "sent"), 0);
  EXPECT_EQ(number(listener.out(), "received"), 50 * kSubscribers) << listener.out();
}

TEST(Broadcast, TextForPeople) {
  ServerChild server;
  Child load(load_command(server.url("/topic/x"), {"--broadcast", "-c", "5", "--publishers", "2",
                                                   "--window", "16", "-d", "0.2"}));
  ASSERT_EQ(load.wait(), 0);
  EXPECT_NE(load.out().find("mode         broadcast, closed loop, 16 messages in flight per "
                            "publisher\n"),
            std::string::npos)
      << load.out();
  EXPECT_NE(load.out().find("publishers   2 of the connections\n"), std::string::npos);
  EXPECT_NE(load.out().find(" deliveries/s\n"), std::string::npos);
}

TEST(Broadcast, AnEchoIsNone) {
  ServerChild server;
  Child load(broadcast_command(server.url("/"), {"-d", "0.1"}));
  EXPECT_EQ(load.wait(), 1);
  EXPECT_EQ(number(load.out(), "received"), 1) << load.out();
  EXPECT_EQ(number(load.out(), "timeout"), kSubscribers - 1) << load.out();
  EXPECT_NE(load.err().find("1 message published and 1 delivery, to 3 subscribers: is " +
                            server.url("/") + " a topic"),
            std::string::npos)
      << load.err();
  Child raw(broadcast_command("tcp://127.0.0.1:1", {}));
  EXPECT_EQ(raw.wait(), 2);
  EXPECT_EQ(std::count(raw.err().begin(), raw.err().end(), '\n'), 1) << raw.err();
}

TEST(Broadcast, WhomTheServerDropsIsToldOfItsLimits) {
  ServerChild server({"--backlog-cap", "4096"});
  Child load(
      broadcast_command(server.url("/topic/x"), {"-d", "1", "-s", "8000000", "--window", "8"}));
  EXPECT_EQ(load.wait(), 1) << load.out();
  EXPECT_GT(number(load.out(), "closed"), 0) << load.out();
  EXPECT_NE(load.err().find("--backlog-cap"), std::string::npos) << load.err();
}

// A message on its way to one subscriber.
struct Delivery {
  std::size_t number;  // of the message
  std::size_t to;      // of kSubscribers
  const Bytes& message;
  std::size_t behind;  // messages that came together with it, and are not looked at yet
  int to_fd;
  int from_fd;

  void give(const Bytes& payload) const { say(to_fd, server_frame(ws::Opcode::kBinary, payload)); }
};
using Deliver = std::function<void(const Delivery&)>;

// Serves a topic until all its subscribers are gone.
class FakeTopic {
 public:
  explicit FakeTopic(Deliver deliver)
      : deliver_(std::move(deliver)), thread_([this] { serve(); }) {}
  FakeTopic(const FakeTopic&) = delete;
  FakeTopic& operator=(const FakeTopic&) = delete;
  ~FakeTopic() { thread_.join(); }

  std::string url() const { return listener_.url(); }

 private:
  void serve() {
    std::vector<pollfd> inputs;
    for (std::size_t k = 0; k < kSubscribers; ++k) {
      subscribers_.push_back(std::make_unique<FakeConnection>(listener_));
      inputs.push_back({subscribers_.back()->fd(), POLLIN, 0});
    }
    const auto open = [](const pollfd& input) { return input.fd >= 0; };
    while (std::any_of(inputs.begin(), inputs.end(), open)) {
      poll(inputs.data(), inputs.size(), -1);
      for (std::size_t k = 0; k < kSubscribers; ++k) {
        if (open(inputs[k]) && inputs[k].revents != 0 && !take_from(*subscribers_[k])) {
          inputs[k].fd = -1;
        }
      }
    }
  }

  // False at the connection's end.
  bool take_from(FakeConnection& from) {
    const std::optional<std::vector<Bytes>> messages = from.read();
    if (!messages) return false;
    for (std::size_t k = 0; k < messages->size(); ++k, ++number_) {
      const std::size_t behind = messages->size() - 1 - k;
      for (std::size_t to = 0; to < kSubscribers; ++to) {
        deliver_({number_, to, (*messages)[k], behind, subscribers_[to]->fd(), from.fd()});
      }
    }
    return true;
  }

  Listener listener_;
  std::vector<std::unique_ptr<FakeConnection>> subscribers_;
  Deliver deliver_;
  std::size_t number_ = 0;
  std::thread thread_;
};

// Of 101 messages; `tenth` is called for every tenth of them on the way to subscriber 1.
std::string load_with_every_tenth(const Deliver& tenth) {
  const FakeTopic topic([&tenth](const Delivery& delivery) {
    const bool chosen = delivery.to == 1 && delivery.number % 10 == 9;
    chosen ? tenth(delivery) : delivery.give(delivery.message);
  });
  Child load(broadcast_command(topic.url(), {"-r", "101", "-d", "1"}));
  EXPECT_EQ(load.wait(), 1) << load.err();
  EXPECT_EQ(number(load.out(), "sent"), 101);
  return load.out();
}

TEST(BroadcastMisbehaviour, LossIsCounted) {
  const std::string json = load_with_every_tenth([](const Delivery&) {});
  EXPECT_EQ(number(json, "lost"), 10) << json;
  EXPECT_EQ(number(json, "errors_total"), 10) << json;
  EXPECT_EQ(number(json, "received"), 101 * kSubscribers - 10) << json;
}

TEST(BroadcastMisbehaviour, RepetitionIsCounted) {
  const std::string json = load_with_every_tenth([](const Delivery& delivery) {
    delivery.give(delivery.message);
    delivery.give(delivery.message);
  });
  EXPECT_EQ(number(json, "duplicate"), 10) << json;
  EXPECT_EQ(number(json, "errors_total"), 10) << json;
  EXPECT_EQ(number(json, "received"), 101 * kSubscribers) << json;
}

TEST(BroadcastMisbehaviour, AnotherOrderIsCounted) {
  Bytes held;
  const FakeTopic topic([&held](const Delivery& delivery) {
    if (delivery.to == 1 && delivery.number % 10 == 8) {
      held = delivery.message;
      return;
    }
    delivery.give(delivery.message);
    if (delivery.to == 1 && delivery.number % 10 == 9) delivery.give(held);
  });
  Child load(broadcast_command(topic.url(), {"-r", "101", "-d", "1"}));
  EXPECT_EQ(load.wait(), 1) << load.err();
  EXPECT_EQ(number(load.out(), "order"), 10) << load.out();
  EXPECT_EQ(number(load.out(), "errors_total"), 10) << load.out();
  EXPECT_EQ(number(load.out(), "received"), 101 * kSubscribers) << load.out();
}

TEST(BroadcastMisbehaviour, AChangedByteIsCounted) {
  std::size_t place = 0;
  const std::string json = load_with_every_tenth([&place](const Delivery& delivery) {
    Bytes changed = delivery.message;
    changed[place] ^= 1U;
    place += 2;
    delivery.give(changed);
  });
  EXPECT_EQ(number(json, "wrong_echo"), 10) << json;
  EXPECT_EQ(number(json, "lost"), 10) << json;
}

TEST(BroadcastMisbehaviour, MessagesOfAnotherFormOrOrigin) {
  const std::string text = load_with_every_tenth([](const Delivery& delivery) {
    say(delivery.to_fd, server_frame(ws::Opcode::kText, delivery.message));
  });
  EXPECT_EQ(number(text, "wrong_echo"), 10) << text;
  const std::string strange = load_with_every_tenth([](const Delivery& delivery) {
    delivery.give(delivery.message);
    Bytes uninvited(load::kStampBytes);
    load::fill_stamped(uninvited, load::make_stamp(0, 5000, 0), false);
    delivery.give(uninvited);
  });
  EXPECT_EQ(number(strange, "wrong_echo"), 10) << strange;
  EXPECT_EQ(number(strange, "errors_total"), 10) << strange;
}

TEST(BroadcastMisbehaviour, WhatHasNotComeAtTheEndIsATimeout) {
  const FakeTopic topic([](const Delivery& delivery) {
    if (delivery.to != 1 || delivery.number < 99) delivery.give(delivery.message);
  });
  Child load(broadcast_command(topic.url(), {"-r", "101", "-d", "1"}));
  EXPECT_EQ(load.wait(), 1) << load.err();
  EXPECT_EQ(number(load.out(), "timeout"), 2) << load.out();
  EXPECT_EQ(number(load.out(), "errors_total"), 2) << load.out();
  EXPECT_GT(number(load.out(), "max_us"), 1e6) << load.out();
}

TEST(BroadcastMisbehaviour, ALossDoesNotHoldUpTheWindow) {
  const FakeTopic topic([](const Delivery& delivery) {
    if (delivery.to != 1 || delivery.number % 10 != 3) delivery.give(delivery.message);
  });
  Child load(broadcast_command(topic.url(), {"--window", "4", "-d", "0.5"}));
  EXPECT_EQ(load.wait(), 1) << load.err();
  const double sent = number(load.out(), "sent");
  EXPECT_GT(sent, 8) << load.out();
  // With nothing after it, the last one is a timeout.
  EXPECT_EQ(number(load.out(), "errors_total"), std::floor((sent + 6) / 10)) << load.out();
  EXPECT_GE(number(load.out(), "lost"), std::floor((sent + 6) / 10) - 1) << load.out();
}

TEST(BroadcastMisbehaviour, ADroppedSubscriberHoldsUpNobody) {
  const FakeTopic topic([](const Delivery& delivery) {
    if (delivery.to == 1 && delivery.number == 5) shutdown(delivery.to_fd, SHUT_RDWR);
    delivery.give(delivery.message);
  });
  Child load(broadcast_command(topic.url(), {"--window", "1", "-d", "0.5"}));
  EXPECT_EQ(load.wait(), 1) << load.err();
  EXPECT_GT(number(load.out(), "sent"), 6) << load.out();
  EXPECT_EQ(number(load.out(), "closed"), 1) << load.out();
  EXPECT_EQ(number(load.out(), "lost"), 1) << load.out();
  EXPECT_EQ(number(load.out(), "errors_total"), 2) << load.out();
}

// Subscriber 1 gets its first messages four at a time, when no more are to come before that.
TEST(BroadcastMisbehaviour, AWindowWaitsForTheSlowest) {
  constexpr std::size_t kWindow = 4;
  constexpr std::size_t kHeldUp = 2 * kWindow;
  std::size_t ahead = 0;
  std::vector<Bytes> held;
  const FakeTopic topic([&](const Delivery& delivery) {
    if (delivery.to != 1) return delivery.give(delivery.message);
    held.push_back(delivery.message);
    if (delivery.number < kHeldUp) {
      if (held.size() < kWindow) return;
      pollfd more{delivery.from_fd, POLLIN, 0};
      ahead += delivery.behind + static_cast<std::size_t>(poll(&more, 1, 20));
    }
    for (const Bytes& message : held) delivery.give(message);
    held.clear();
  });
  Child load(broadcast_command(topic.url(), {"--window", "4", "-d", "0.5"}));
  EXPECT_EQ(load.wait(), 0) << load.out() << load.err();
  EXPECT_EQ(ahead, 0U);
  EXPECT_GT(number(load.out(), "sent"), kHeldUp);
}

}  // namespace
}  // namespace epulse::testing
