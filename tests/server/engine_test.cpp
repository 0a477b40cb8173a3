#include "server/engine/epoll_engine.hpp"

#include <gtest/gtest.h>
#include <sys/socket.h>

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "server/engine/listener.hpp"
#include "server/session/mailbox.hpp"
#include "tests/server/test_client.hpp"

namespace epulse::server {
namespace {

using testing::bytes_of;
using testing::TestClient;
using testing::text_of;

// Runs an engine on this thread until a condition holds; records what it is told.
class Recorder : public Handler {
 public:
  Recorder()
      : listeners_(open_listeners(parse_address("127.0.0.1:0"), 1)),
        engine_({.listen_fd = listeners_.sockets[0].get(), .wake_fd = waker_.fd()}, *this, stats_) {
  }

  int port() const { return listeners_.address.port(); }
  EpollEngine& engine() { return engine_; }
  std::uint64_t turns() const { return stats_.loop_turns; }

  // False when `ticks` (a quarter of a second each) went by first.
  bool run_until(std::function<bool()> condition, int ticks = 40) {
    condition_ = std::move(condition);
    ticks_left_ = ticks;
    waker_.acknowledge();
    waker_.wake();  // So that the condition is looked at without any event, too.
    if (!condition_()) engine_.run();
    return condition_();
  }

  void on_accept(ConnId conn) override { accepted.push_back(conn); }
  void on_data(ConnId conn, std::span<std::uint8_t> input) override {
    data += text_of(input);
    if (on_input) on_input(conn);
    look();
  }
  void on_drained(ConnId /*conn*/) override { look(); }
  void on_closed(ConnId conn, CloseReason reason) override {
    closed.emplace_back(conn, reason);
    look();
  }
  void on_wake() override { look(); }
  void on_tick() override {
    if (--ticks_left_ <= 0) engine_.stop();
    look();
  }

  std::vector<ConnId> accepted;
  std::vector<std::pair<ConnId, CloseReason>> closed;
  std::string data;
  std::function<void(ConnId)> on_input;

 private:
  void look() {
    if (condition_()) engine_.stop();
  }

  Listeners listeners_;
  Waker waker_;
  epulse_stats_worker stats_{};
  std::function<bool()> condition_;
  int ticks_left_ = 0;
  EpollEngine engine_;
};

void say(EpollEngine& engine, ConnId conn, std::string_view text) {
  const auto bytes = bytes_of(text);
  const Part part(bytes);
  engine.send(conn, {&part, 1});
}

TEST(EpollEngine, AnIdThatIsGoneNamesNobody) {
  Recorder recorder;
  {
    TestClient first(recorder.port());
    first.send_raw(bytes_of("1"));
    ASSERT_TRUE(recorder.run_until([&] { return recorder.data == "1"; }));
  }
  ASSERT_TRUE(recorder.run_until([&] { return recorder.closed.size() == 1; }));
  EXPECT_EQ(recorder.closed[0].second, CloseReason::kPeer);
  TestClient second(recorder.port());
  second.send_raw(bytes_of("2"));
  ASSERT_TRUE(recorder.run_until([&] { return recorder.data == "12"; }));
  ASSERT_EQ(recorder.accepted.size(), 2U);
  const ConnId old = recorder.accepted[0];
  const ConnId current = recorder.accepted[1];
  ASSERT_EQ(old.slot, current.slot);  // The slot is used again.
  say(recorder.engine(), old, "for the first");
  recorder.engine().send_shared(old, std::make_shared<const Bytes>(bytes_of("for the first")));
  recorder.engine().abort(old);
  EXPECT_EQ(recorder.engine().queued_bytes(old), 0U);
  say(recorder.engine(), current, "for the second");
  recorder.engine().finish(current);
  second.send_raw(bytes_of("3"));
  ASSERT_TRUE(recorder.run_until([&] { return recorder.data == "123"; }));
  std::string received(100, ' ');
  const ssize_t n = recv(second.fd(), received.data(), received.size(), 0);
  EXPECT_EQ(received.substr(0, static_cast<std::size_t>(n)), "for the second");
}

// Two connections are ready in one batch and the first handled closes both: the event of the other,
// already taken from the kernel, must reach nobody.
TEST(EpollEngine, EventsOfAConnectionClosedInTheSameBatchAreDropped) {
  Recorder recorder;
  TestClient a(recorder.port());
  TestClient b(recorder.port());
  ASSERT_TRUE(recorder.run_until([&] { return recorder.accepted.size() == 2; }, 8));
  int handled = 0;
  recorder.on_input = [&](ConnId) {
    ++handled;
    for (const ConnId conn : recorder.accepted) recorder.engine().abort(conn);
  };
  a.send_raw(bytes_of("x"));
  b.send_raw(bytes_of("x"));
  ASSERT_TRUE(recorder.run_until([&] { return recorder.closed.size() == 2; }));
  EXPECT_EQ(handled, 1);
  EXPECT_EQ(recorder.closed[0].second, CloseReason::kAborted);
}

TEST(EpollEngine, FinishSendsEverythingThenFin) {
  Recorder recorder;
  TestClient client(recorder.port());
  const std::string text(3'000'000, 'x');  // more than the socket takes at once
  recorder.on_input = [&](ConnId conn) {
    say(recorder.engine(), conn, text);
    recorder.engine().finish(conn);
    say(recorder.engine(), conn, "too late");
  };
  client.send_raw(bytes_of("go"));
  std::string received;
  bool end = false;
  std::string buffer(1 << 16, ' ');
  // The client reads from inside the loop of the engine: one thread is enough.
  ASSERT_TRUE(recorder.run_until([&] {
    ssize_t n = 0;
    while ((n = recv(client.fd(), buffer.data(), buffer.size(), MSG_DONTWAIT)) > 0) {
      received.append(buffer, 0, static_cast<std::size_t>(n));
    }
    end = end || n == 0;
    return end;
  }));
  EXPECT_EQ(received.size(), text.size());
}

// The peer half-closes as soon as it has asked: it still gets the whole answer, and no turn is
// spent on being told of its end again and again.
TEST(EpollEngine, FinishSendsEverythingToAPeerThatHasEndedItsHalf) {
  Recorder recorder;
  TestClient client(recorder.port());
  const std::string text(8'000'000, 'x');  // more than the socket takes at once
  recorder.on_input = [&](ConnId conn) {
    say(recorder.engine(), conn, text);
    recorder.engine().finish(conn);
  };
  client.send_raw(bytes_of("go"));
  shutdown(client.fd(), SHUT_WR);
  const std::uint64_t turns = recorder.turns();
  // Nobody reads: the end is seen with most of the answer still queued.
  EXPECT_FALSE(recorder.run_until([&] { return !recorder.closed.empty(); }, 4));
  EXPECT_LT(recorder.turns() - turns, 20U);
  std::string received;
  std::string buffer(1 << 16, ' ');
  const auto all_read = [&] {
    ssize_t n = 0;
    while ((n = recv(client.fd(), buffer.data(), buffer.size(), MSG_DONTWAIT)) > 0) {
      received.append(buffer, 0, static_cast<std::size_t>(n));
    }
    return n == 0;
  };
  bool end = false;
  ASSERT_TRUE(recorder.run_until([&] {
    end = end || all_read();
    return end && !recorder.closed.empty();
  }));
  EXPECT_EQ(received.size(), text.size());
  EXPECT_EQ(recorder.closed[0].second, CloseReason::kFinished);
}

TEST(EpollEngine, APausedConnectionIsNotRead) {
  Recorder recorder;
  TestClient client(recorder.port());
  recorder.on_input = [&](ConnId conn) { recorder.engine().pause_reading(conn); };
  client.send_raw(bytes_of("1"));
  ASSERT_TRUE(recorder.run_until([&] { return recorder.data == "1"; }));
  client.send_raw(bytes_of("2"));
  EXPECT_FALSE(recorder.run_until([&] { return recorder.data == "12"; }, 2));
  recorder.engine().resume_reading(recorder.accepted[0]);
  EXPECT_TRUE(recorder.run_until([&] { return recorder.data == "12"; }));
}

}  // namespace
}  // namespace epulse::server
