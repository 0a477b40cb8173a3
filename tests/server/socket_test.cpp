// What an application gets to see and may do, on an engine whose turns are made up.
#include "server/session/socket.hpp"

#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "server/session/session.hpp"
#include "tests/server/turn.hpp"

namespace epulse::server {
namespace {

using testing::bytes_of;
using testing::client_frame;
using testing::text_of;
using ws::CloseCode;
using ws::Opcode;

// Notes what it is told; does what a message says.
class Script final : public SocketHandler {
 public:
  struct Count final : SocketState {
    int messages = 0;
  };

  Reply on_request(const ws::Request& request) override {
    if (request.target == "/forbidden") return {403, "not here"};
    return {};
  }
  void on_open(Socket socket, const ws::Request& request) override {
    log += "open " + std::string(request.target) + '\n';
    socket.set_state(std::make_unique<Count>());
    socket.send_text("welcome");
  }
  void on_message(Socket socket, Opcode /*opcode*/, std::span<std::uint8_t> message) override {
    auto& count = *socket.state<Count>();
    log += "message " + std::to_string(++count.messages) + ' ' + text_of(message) + '\n';
    last = socket;
    if (on_text) on_text(socket, text_of(message));
  }
  void on_writable(Socket socket) override {
    log += "writable " + std::to_string(socket.id().slot) + '\n';
  }
  void on_close(Socket socket, CloseCode code) override {
    log += "close " + std::to_string(static_cast<int>(code)) + " after " +
           std::to_string(socket.state<Count>()->messages) + '\n';
    if (on_end) on_end(socket);
  }

  std::string log;
  std::optional<Socket> last;
  std::function<void(Socket, const std::string&)> on_text;
  std::function<void(Socket)> on_end;
};

class SocketTest : public ::testing::Test {
 protected:
  SocketTest() { session.attach(engine); }

  void open(std::uint32_t slot, std::string_view path = "/") {
    session.on_accept({slot, 0});
    testing::Bytes request = request_for(path);
    session.on_data({slot, 0}, request);
    handler.log.clear();
    engine.sent[slot].clear();
  }
  void hear(std::uint32_t slot, std::string_view text) {
    testing::Bytes frame = client_frame(Opcode::kText, bytes_of(text));
    session.on_data({slot, 0}, frame);
  }
  // What went out since it was asked last, frame headers and all.
  std::string sent(std::uint32_t slot) { return std::exchange(engine.sent[slot], {}); }

  Turn engine;
  SharedState shared{{.max_connections = 10, .backlog_cap_bytes = 1000}, {}, 1};
  Script handler;
  Session session{shared, 0, handler};
};

TEST_F(SocketTest, OpenComesAfterTheAnswerAndWhatItSendsFollowsThat) {
  session.on_accept({0, 0});
  testing::Bytes request = request_for("/here");
  session.on_data({0, 0}, request);
  EXPECT_EQ(handler.log, "open /here\n");
  EXPECT_TRUE(engine.sent[0].starts_with("HTTP/1.1 101 "));
  EXPECT_TRUE(engine.sent[0].ends_with("\r\n\r\n\x81\x07welcome"));
}

TEST_F(SocketTest, ARefusalIsTheApplicationsAndItsReasonIsToldTheClient) {
  session.on_accept({0, 0});
  testing::Bytes request = request_for("/forbidden");
  session.on_data({0, 0}, request);
  EXPECT_TRUE(engine.sent[0].starts_with("HTTP/1.1 403 "));
  EXPECT_TRUE(engine.sent[0].ends_with("Forbidden: not here\n"));
  session.on_closed({0, 0}, CloseReason::kFinished);
  EXPECT_EQ(handler.log, "");  // It never was open.
}

TEST_F(SocketTest, TheStateLivesAsLongAsTheConnection) {
  open(0);
  hear(0, "a");
  hear(0, "b");
  session.on_closed({0, 0}, CloseReason::kPeer);
  EXPECT_EQ(handler.log, "message 1 a\nmessage 2 b\nclose 1006 after 2\n");
}

// Else a topic would have a member that is nobody, and its next message a subscriber that is gone.
TEST_F(SocketTest, WhoHasGoneCannotSubscribeAnyMore) {
  open(0);
  open(1);
  handler.on_end = [](Socket socket) {
    socket.subscribe("t");
    socket.subscribe_prefix("t");
    socket.send_text("late");
    socket.publish(socket.subscribe("t"), Opcode::kText, bytes_of("it has gone"));
  };
  handler.on_text = [](Socket socket, const std::string&) { socket.subscribe("t"); };
  hear(1, "subscribe");
  session.on_closed({0, 0}, CloseReason::kPeer);
  EXPECT_EQ(sent(0), "");
  EXPECT_EQ(sent(1), "\x81\x0Bit has gone");
  handler.on_text = [](Socket socket, const std::string&) {
    socket.publish(socket.subscribe("t"), Opcode::kText, bytes_of("once more"));
  };
  hear(1, "publish");
  EXPECT_TRUE(sent(1).ends_with("once more"));
}

TEST_F(SocketTest, CloseTellsTheFirstCode) {
  open(0);
  testing::Bytes close = client_frame(Opcode::kClose, bytes_of("\x0F\xA1"
                                                               "bye"));
  session.on_data({0, 0}, close);
  session.on_closed({0, 0}, CloseReason::kFinished);
  EXPECT_EQ(handler.log, "close 4001 after 0\n");
}

TEST_F(SocketTest, AfterItsOwnCloseNothingOfItIsHeardOrSaid) {
  open(0);
  handler.on_text = [](Socket socket, const std::string&) {
    socket.close(CloseCode::kPolicyViolation, "go");
    socket.send_text("more");
  };
  testing::Bytes two = client_frame(Opcode::kText, bytes_of("1"));
  const testing::Bytes second = client_frame(Opcode::kText, bytes_of("2"));
  two.insert(two.end(), second.begin(), second.end());
  session.on_data({0, 0}, two);
  EXPECT_EQ(sent(0), "\x88\x04\x03\xF0go");
  EXPECT_EQ(handler.log, "message 1 1\n");
  engine.now += 3 * std::uint64_t{1'000'000'000};
  session.on_tick();
  engine.now += 3 * std::uint64_t{1'000'000'000};
  session.on_tick();
  EXPECT_TRUE(engine.aborted.contains(0));  // The close timer runs.
}

// Of the messages behind the one that is being handled, though they came with it.
TEST_F(SocketTest, LimitsHoldForTheNextMessageOfTheSameInput) {
  open(0);
  handler.on_text = [](Socket socket, const std::string&) { socket.set_limits(4, 0); };
  testing::Bytes two = client_frame(Opcode::kText, bytes_of("first"));
  const testing::Bytes second = client_frame(Opcode::kText, bytes_of("again"));
  two.insert(two.end(), second.begin(), second.end());
  session.on_data({0, 0}, two);
  EXPECT_EQ(handler.log, "message 1 first\n");
  EXPECT_TRUE(sent(0).starts_with("\x88"));
  session.on_closed({0, 0}, CloseReason::kFinished);
  EXPECT_TRUE(handler.log.ends_with("close 1009 after 1\n"));
}

TEST_F(SocketTest, AnotherOneMayBeClosedToo) {
  open(0);
  open(1);
  hear(1, "x");
  const Socket other = *handler.last;
  handler.on_text = [&](Socket, const std::string&) { other.close(CloseCode::kNormal, ""); };
  hear(0, "y");
  EXPECT_EQ(sent(1), "\x88\x02\x03\xE8");
  engine.now += 3 * std::uint64_t{1'000'000'000};
  session.on_tick();
  engine.now += 3 * std::uint64_t{1'000'000'000};
  session.on_tick();
  EXPECT_TRUE(engine.aborted.contains(1));
}

TEST_F(SocketTest, OneThatHasGoneIsHarmless) {
  open(0);
  hear(0, "x");
  const Socket gone = *handler.last;
  session.on_closed({0, 0}, CloseReason::kPeer);
  gone.send_text("x");
  gone.close(CloseCode::kNormal, "");
  gone.subscribe_prefix("a");
  const TopicPtr topic = gone.subscribe("a");
  gone.publish_text(topic, "x");
  EXPECT_EQ(gone.state<Script::Count>(), nullptr);
  EXPECT_EQ(topic->members(0).size(), 0U);
}

TEST_F(SocketTest, WritableWhenAllHasLeft) {
  open(0);
  engine.full = {0};
  hear(0, "x");
  engine.full.clear();
  session.on_drained({0, 0});
  EXPECT_EQ(handler.log, "message 1 x\nwritable 0\n");
}

// Topics.

class TopicTest : public SocketTest {
 protected:
  // "+NAME" subscribes, "+NAME*" to a prefix, "NAME text" publishes.
  TopicTest() {
    handler.on_text = [this](Socket socket, const std::string& text) {
      if (text.starts_with('+') && text.ends_with('*')) {
        socket.subscribe_prefix(std::string_view(text).substr(1, text.size() - 2));
      } else if (text.starts_with('+')) {
        socket.subscribe(text.substr(1));
      } else {
        const std::size_t blank = text.find(' ');
        socket.publish_text(shared.hub.topic(text.substr(0, blank)), text.substr(blank + 1));
      }
    };
  }
};

TEST_F(TopicTest, PrefixesGetWhatTheirTopicsGet) {
  for (std::uint32_t slot = 0; slot < 4; ++slot) open(slot);
  hear(0, "+news.sport");
  hear(1, "+news.*");
  hear(2, "+*");
  hear(3, "news.sport goal");
  hear(3, "news.art paint");
  hear(3, "newspaper ink");
  EXPECT_EQ(sent(0), "\x81\x04goal");
  EXPECT_EQ(sent(1), "\x81\x04goal\x81\x05paint");
  EXPECT_EQ(sent(2), "\x81\x04goal\x81\x05paint\x81\x03ink");
  EXPECT_EQ(sent(3), "");
}

TEST_F(TopicTest, APrefixThatComesLaterIsSeenByTopicsInUse) {
  open(0);
  open(1);
  const TopicPtr used = shared.hub.topic("a.b");
  hear(0, "a.b 1");
  hear(1, "+a.*");
  hear(0, "a.b 2");
  session.on_closed({1, 0}, CloseReason::kPeer);
  hear(0, "a.b 3");
  open(1);
  hear(1, "+a.*");
  hear(0, "a.b 4");
  EXPECT_EQ(sent(1),
            "\x81\x01"
            "4");
  EXPECT_EQ(shared.pages.read()[0].delivered, 2U);
}

TEST_F(TopicTest, EachSubscriptionBringsACopyAndAllEndWithTheConnection) {
  open(0);
  open(1);
  for (const char* topic : {"+a", "+b", "+a", "+a*"}) hear(0, topic);
  hear(1, "+a");
  hear(1, "a x");
  EXPECT_EQ(sent(0), "\x81\x01x\x81\x01x\x81\x01x");
  session.on_closed({0, 0}, CloseReason::kPeer);
  hear(1, "a y");
  EXPECT_EQ(sent(1), "\x81\x01x\x81\x01y");
  EXPECT_EQ(shared.hub.topic("a")->members(0).size(), 1U);
  session.on_closed({1, 0}, CloseReason::kPeer);
  EXPECT_EQ(shared.hub.topic("a")->members(0).size(), 0U);
}

TEST_F(TopicTest, LeavingInAnyOrderLeavesTheRightOnes) {
  for (std::uint32_t slot = 0; slot < 4; ++slot) {
    open(slot);
    hear(slot, "+a");
  }
  session.on_closed({0, 0}, CloseReason::kPeer);  // The last one takes its place,
  session.on_closed({3, 0}, CloseReason::kPeer);  // and leaves from there.
  hear(1, "a x");
  EXPECT_EQ(shared.hub.topic("a")->members(0), (std::vector<ConnId>{{2, 0}, {1, 0}}));
  EXPECT_EQ(sent(1), "\x81\x01x");
  EXPECT_EQ(sent(2), "\x81\x01x");
}

TEST_F(TopicTest, WhoLeavesMaySayGoodbye) {
  open(0);
  open(1);
  hear(0, "+room");
  hear(1, "+room");
  handler.on_end = [this](Socket socket) { socket.publish_text(shared.hub.topic("room"), "bye"); };
  session.on_closed({0, 0}, CloseReason::kPeer);
  EXPECT_EQ(sent(1),
            "\x81\x03"
            "bye");
}

testing::Bytes in_one_piece(const std::vector<testing::Bytes>& frames) {
  testing::Bytes all;
  for (const testing::Bytes& frame : frames) all.insert(all.end(), frame.begin(), frame.end());
  return all;
}

testing::Bytes text_frame(std::string_view text) {
  return client_frame(Opcode::kText, bytes_of(text));
}

TEST_F(TopicTest, ABurstIsOneOperationForEachSubscriber) {
  open(0);
  open(1);
  hear(0, "+a");
  hear(0, "+b");
  engine.shared_sends = 0;
  testing::Bytes burst = in_one_piece({text_frame("a 1"), text_frame("a 2"), text_frame("b 3"),
                                       text_frame("a 4"), text_frame("a 5")});
  session.on_data({1, 0}, burst);
  EXPECT_EQ(sent(0),
            "\x81\x01"
            "1\x81\x01"
            "2\x81\x01"
            "3\x81\x01"
            "4\x81\x01"
            "5");
  EXPECT_EQ(engine.shared_sends, 3);
  EXPECT_EQ(shared.pages.read()[0].delivered, 5U);
}

TEST_F(TopicTest, WhatIsSaidAfterwardsComesAfterwards) {
  open(0);
  hear(0, "+a");
  handler.on_text = [this](Socket socket, const std::string&) {
    socket.publish_text(shared.hub.topic("a"), "all");
    socket.send_text("one");
    socket.publish_text(shared.hub.topic("a"), "again");
  };
  const testing::Bytes close = client_frame(Opcode::kClose, {});
  testing::Bytes input = in_one_piece({text_frame("go"), close});
  session.on_data({0, 0}, input);
  EXPECT_EQ(sent(0),
            "\x81\x03"
            "all\x81\x03one\x81\x05"
            "again" +
                std::string("\x88\x00", 2));
}

TEST_F(TopicTest, WhoComesLaterInABurstHearsTheRestOfIt) {
  open(0);
  handler.on_text = [this](Socket socket, const std::string& text) {
    socket.publish_text(shared.hub.topic("a"), text);
    if (text == "1") socket.subscribe("a");
  };
  testing::Bytes input = in_one_piece({text_frame("1"), text_frame("2")});
  session.on_data({0, 0}, input);
  EXPECT_EQ(sent(0),
            "\x81\x01"
            "2");
}

class SkipTest : public ::testing::Test {
 protected:
  SkipTest() { session.attach(engine); }

  void hear(std::uint32_t slot, testing::Bytes bytes) { session.on_data({slot, 0}, bytes); }

  Turn engine;
  SharedState shared{
      {.max_connections = 10, .backlog_cap_bytes = 1000, .slow_policy = SlowPolicy::kSkip}, {}, 1};
  Script handler;
  Session session{shared, 0, handler};
};

TEST_F(SkipTest, WhoIsBehindMissesMessagesAndStays) {
  handler.on_text = [this](Socket socket, const std::string& text) {
    if (socket.id().slot == 0) {
      socket.subscribe("t");
    } else {
      socket.publish_text(shared.hub.topic("t"), text);
    }
  };
  for (std::uint32_t slot = 0; slot < 2; ++slot) {
    session.on_accept({slot, 0});
    hear(slot, request_for("/"));
    engine.sent[slot].clear();
  }
  hear(0, text_frame("subscribe"));
  hear(1, text_frame("1"));
  engine.queued[0] = 1001;
  hear(1, text_frame("2"));  // Nobody has tried yet to send what is queued.
  engine.full = {0};
  hear(1, text_frame("3"));
  // It is not read any more either: it could ask for pongs without end.
  hear(0, client_frame(Opcode::kPing, bytes_of("p")));
  EXPECT_TRUE(engine.paused.contains(0));
  engine.queued[0] = 0;
  engine.full.clear();
  session.on_drained({0, 0});
  EXPECT_FALSE(engine.paused.contains(0));
  hear(1, text_frame("4"));
  EXPECT_EQ(engine.sent[0],
            "\x81\x01"
            "1\x81\x01"
            "2\x8A\x01p\x81\x01"
            "4");
  EXPECT_TRUE(engine.aborted.empty());
  EXPECT_EQ(shared.pages.read()[0].slow_skipped, 1U);
}

}  // namespace
}  // namespace epulse::server
