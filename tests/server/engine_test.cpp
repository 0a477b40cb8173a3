// What every engine owes its handler.
#include <gtest/gtest.h>
#include <linux/sockios.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "tests/server/recorder.hpp"

namespace epulse::server {
namespace {

using testing::bytes_of;
using testing::TestClient;

struct Variant {
  const char* name;
  EngineOptions options;
};

class EachEngine : public ::testing::TestWithParam<Variant> {
 protected:
  void SetUp() override {
    const std::string reason = why_unavailable(options());
    if (!reason.empty()) GTEST_SKIP() << reason;
  }
  static EngineOptions options() { return GetParam().options; }
};

INSTANTIATE_TEST_SUITE_P(
    All, EachEngine,
    ::testing::Values(Variant{"epoll", {}}, Variant{"epoll_edge", {.epoll_mode = EpollMode::kEdge}},
                      Variant{"epoll_one_shot", {.epoll_mode = EpollMode::kOneShot}},
                      Variant{"io_uring", {.kind = EngineKind::kUring}},
                      Variant{"io_uring_zero_copy",
                              {.kind = EngineKind::kUring,
                               .zero_copy = {.from_bytes = 4096, .although_copied = true}}}),
    [](const auto& test) { return test.param.name; });

TEST_P(EachEngine, AnIdThatIsGoneNamesNobody) {
  Recorder recorder(options());
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
  EXPECT_EQ(recorder.engine().room(old, 1), nullptr);
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
TEST_P(EachEngine, EventsOfAConnectionClosedInTheSameBatchAreDropped) {
  Recorder recorder(options());
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

TEST_P(EachEngine, AnAbortIsAReset) {
  Recorder recorder(options());
  TestClient client(recorder.port());
  recorder.on_input = [&](ConnId conn) {
    say(recorder.engine(), conn, "never to arrive");
    ASSERT_NE(recorder.engine().room(conn, 5), nullptr);
    recorder.engine().abort(conn);
    EXPECT_EQ(recorder.engine().room(conn, 5), nullptr);
  };
  client.send_raw(bytes_of("go"));
  ASSERT_TRUE(recorder.run_until([&] { return !recorder.closed.empty(); }));
  EXPECT_EQ(recorder.closed[0].second, CloseReason::kAborted);
  bool reset = false;
  // The io_uring engine resets at its next submission.
  EXPECT_TRUE(recorder.run_until([&] {
    char byte = 0;
    reset = reset || (recv(client.fd(), &byte, 1, MSG_DONTWAIT) < 0 && errno == ECONNRESET);
    return reset;
  }));
}

TEST_P(EachEngine, AResetOfThePeerIsAnError) {
  Recorder recorder(options());
  TestClient client(recorder.port());
  client.send_raw(bytes_of("x"));
  ASSERT_TRUE(recorder.run_until([&] { return recorder.data == "x"; }));
  const linger reset{1, 0};
  setsockopt(client.fd(), SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
  { const TestClient gone(std::move(client)); }
  ASSERT_TRUE(recorder.run_until([&] { return !recorder.closed.empty(); }));
  EXPECT_EQ(recorder.closed[0].second, CloseReason::kError);
}

TEST_P(EachEngine, FinishSendsEverythingThenFin) {
  Recorder recorder(options());
  TestClient client(recorder.port());
  const std::string text = pattern(3'000'000);  // more than the socket takes at once
  recorder.on_input = [&](ConnId conn) {
    say(recorder.engine(), conn, text);
    recorder.engine().finish(conn);
    say(recorder.engine(), conn, "too late");
  };
  client.send_raw(bytes_of("go"));
  EXPECT_TRUE(read_to_the_end(recorder, client) == text);
  EXPECT_TRUE(recorder.closed.empty());  // The peer has not ended its half.
  shutdown(client.fd(), SHUT_WR);
  ASSERT_TRUE(recorder.run_until([&] { return !recorder.closed.empty(); }));
  EXPECT_EQ(recorder.closed[0].second, CloseReason::kFinished);
}

// What is written where it leaves from keeps its place among what is sent in other ways, while the
// socket takes all and when it does not.
TEST_P(EachEngine, RoomKeepsTheOrder) {
  Recorder recorder(options());
  TestClient client(recorder.port());
  std::string text;
  std::size_t given = 0;
  recorder.on_input = [&](ConnId conn) {
    Engine& engine = recorder.engine();
    for (std::size_t i = 0; i < 3'000; ++i) {
      const std::string next = pattern(i % 300 == 299 ? 100'000 : 1 + i % 127);
      text += next;
      std::uint8_t* const at = next.size() > 127 ? nullptr : engine.room(conn, next.size());
      if (at != nullptr) {
        ++given;
        std::copy(next.begin(), next.end(), at);
      } else if (i % 2 == 0) {
        engine.send_shared(conn, std::make_shared<const Bytes>(bytes_of(next)));
      } else {
        say(engine, conn, next);
      }
    }
    engine.finish(conn);
    EXPECT_EQ(engine.room(conn, 1), nullptr);
  };
  client.send_raw(bytes_of("go"));
  EXPECT_TRUE(read_to_the_end(recorder, client) == text);
  EXPECT_GE(given, 100U);  // before the first that is long
}

// By turns, so that the room of each ends where the other is written to; and what is in it counts.
TEST_P(EachEngine, RoomOfOneAndOfAnother) {
  Recorder recorder(options());
  TestClient first(recorder.port());
  TestClient second(recorder.port());
  ASSERT_TRUE(recorder.run_until([&] { return recorder.accepted.size() == 2; }, 8));
  std::map<std::uint32_t, std::string> text;
  std::size_t given = 0;
  recorder.on_input = [&](ConnId conn) {
    Engine& engine = recorder.engine();
    for (std::size_t i = 0; i < 900; ++i) {
      const ConnId to = i % 3 == 0 ? conn : recorder.accepted[i % 2];
      const std::string next = pattern(1 + i % 13);
      text[to.slot] += next;
      if (std::uint8_t* const at = engine.room(to, next.size())) {
        ++given;
        std::copy(next.begin(), next.end(), at);
      } else {
        say(engine, to, next);
      }
      for (const ConnId each : recorder.accepted) {
        EXPECT_EQ(engine.queued_bytes(each), text[each.slot].size());
      }
    }
    for (const ConnId each : recorder.accepted) engine.finish(each);
  };
  first.send_raw(bytes_of("go"));
  const std::string told = read_to_the_end(recorder, first) + read_to_the_end(recorder, second);
  const auto [a, b] = std::pair(recorder.accepted[0].slot, recorder.accepted[1].slot);
  EXPECT_TRUE(told == text[a] + text[b] || told == text[b] + text[a]);
  EXPECT_GE(given, 300U);
}

// The peer half-closes as soon as it has asked: it still gets the whole answer, and no turn is
// spent on being told of its end again and again.
TEST_P(EachEngine, FinishSendsEverythingToAPeerThatHasEndedItsHalf) {
  Recorder recorder(options());
  TestClient client(recorder.port());
  const std::string text = pattern(8'000'000);  // more than the socket takes at once
  recorder.on_input = [&](ConnId conn) {
    say(recorder.engine(), conn, text);
    recorder.engine().finish(conn);
  };
  client.send_raw(bytes_of("go"));
  shutdown(client.fd(), SHUT_WR);
  const std::uint64_t turns = recorder.stats().loop_turns;
  // Nobody reads: the end is seen with most of the answer still queued.
  EXPECT_FALSE(recorder.run_until([&] { return !recorder.closed.empty(); }, 4));
  EXPECT_LT(recorder.stats().loop_turns - turns, 20U);
  EXPECT_TRUE(read_to_the_end(recorder, client) == text);
  ASSERT_TRUE(recorder.run_until([&] { return !recorder.closed.empty(); }));
  EXPECT_EQ(recorder.closed[0].second, CloseReason::kFinished);
}

TEST_P(EachEngine, FinishWithNothingToSayIsJustFin) {
  Recorder recorder(options());
  TestClient client(recorder.port());
  recorder.on_input = [&](ConnId conn) { recorder.engine().finish(conn); };
  client.send_raw(bytes_of("go"));
  shutdown(client.fd(), SHUT_WR);
  ASSERT_TRUE(recorder.run_until([&] { return !recorder.closed.empty(); }));
  std::string received;
  EXPECT_TRUE(
      recorder.run_until([&] { return !read_available(client, received) && received.empty(); }));
}

// More than one turn reads of one connection, and the end right behind it.
TEST_P(EachEngine, ALotOfInputAndTheEndOfTheStream) {
  Recorder recorder(options());
  TestClient client(recorder.port());
  const std::string text = pattern(5'000'003);
  std::size_t sent = 0;
  ASSERT_TRUE(recorder.run_busily_until([&] {
    sent += client.send_some(bytes_of(text.substr(sent, 3'000'000)));
    if (sent == text.size()) shutdown(client.fd(), SHUT_WR);
    return !recorder.closed.empty();
  }));
  EXPECT_TRUE(recorder.data == text);
  EXPECT_EQ(recorder.closed[0].second, CloseReason::kPeer);
}

// What lies in the socket is more than one turn reads, and nothing comes after it that would tell
// of it once more.
TEST_P(EachEngine, ALotOfInputAndThenSilence) {
  Recorder recorder(options());
  const int room = 8'000'000;  // Connections inherit it.
  if (setsockopt(recorder.listener(), SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof room) != 0) {
    GTEST_SKIP() << "a receive buffer beyond net.core.rmem_max takes CAP_NET_ADMIN";
  }
  TestClient client(recorder.port());
  ASSERT_TRUE(recorder.run_until([&] { return recorder.accepted.size() == 1; }));
  recorder.engine().pause_reading(recorder.accepted[0]);
  const testing::Bytes text(1'500'000, 'x');
  std::size_t sent = 0;
  ASSERT_TRUE(recorder.run_busily_until([&] {
    sent += client.send_some(std::span(text).subspan(sent));
    int on_its_way = 1;
    return sent == text.size() && ioctl(client.fd(), SIOCOUTQ, &on_its_way) == 0 && on_its_way == 0;
  }));
  recorder.engine().resume_reading(recorder.accepted[0]);
  EXPECT_TRUE(recorder.run_until([&] { return recorder.data.size() == sent; }))
      << recorder.data.size() << " of " << sent;
}

TEST_P(EachEngine, InputAndTheEndOfTheStreamInOneEvent) {
  Recorder recorder(options());
  TestClient client(recorder.port());
  ASSERT_TRUE(recorder.run_until([&] { return recorder.accepted.size() == 1; }));
  client.send_raw(bytes_of("last words"));
  shutdown(client.fd(), SHUT_WR);
  ASSERT_TRUE(recorder.run_until([&] { return !recorder.closed.empty(); }));
  EXPECT_EQ(recorder.data, "last words");
  EXPECT_EQ(recorder.closed[0].second, CloseReason::kPeer);
}

TEST_P(EachEngine, APausedConnectionIsNotRead) {
  Recorder recorder(options());
  TestClient client(recorder.port());
  recorder.on_input = [&](ConnId conn) { recorder.engine().pause_reading(conn); };
  client.send_raw(bytes_of("1"));
  ASSERT_TRUE(recorder.run_until([&] { return recorder.data == "1"; }));
  client.send_raw(bytes_of("2"));
  EXPECT_FALSE(recorder.run_until([&] { return recorder.data == "12"; }, 2));
  recorder.engine().resume_reading(recorder.accepted[0]);
  EXPECT_TRUE(recorder.run_until([&] { return recorder.data == "12"; }));
}

// Pauses at every input, for this turn or some more, while more is coming all the time.
TEST_P(EachEngine, PausesLoseNothingAndChangeNoOrder) {
  Recorder recorder(options());
  TestClient client(recorder.port());
  TestClient pulse(recorder.port());  // so that there is always a next turn
  const std::string text = pattern(4'000'000);
  std::string received;
  std::size_t sent = 0;
  std::size_t inputs = 0;
  std::vector<ConnId> paused;
  recorder.on_bytes = [&](ConnId conn, std::span<std::uint8_t> input) {
    Engine& engine = recorder.engine();
    if (conn == recorder.accepted[1]) {
      for (const ConnId old : std::exchange(paused, {})) engine.resume_reading(old);
      return;
    }
    received += testing::text_of(input);
    engine.pause_reading(conn);
    if (++inputs % 4 != 0) engine.resume_reading(conn);
    if (inputs % 4 == 1) engine.pause_reading(conn);
    if (inputs % 4 <= 1) paused.push_back(conn);
  };
  ASSERT_TRUE(recorder.run_until([&] { return recorder.accepted.size() == 2; }, 8));
  ASSERT_TRUE(recorder.run_until(
      [&] {
        pulse.send_raw(bytes_of("."));
        sent += client.send_some(bytes_of(text.substr(sent, 50'000)));
        if (sent == text.size()) shutdown(client.fd(), SHUT_WR);
        return !recorder.closed.empty();
      },
      400));
  EXPECT_GT(inputs, 20U);
  EXPECT_EQ(received.size(), text.size());
  EXPECT_TRUE(received == text);
  EXPECT_EQ(recorder.closed[0].second, CloseReason::kPeer);
}

// Copies and shared buffers of all sizes, said while the socket takes all, some and nothing.
TEST_P(EachEngine, ASlowReaderGetsEveryByteInOrder) {
  Recorder recorder(options());
  // Less takes minutes over loopback without a copy: the segments' pages do not fit in.
  TestClient client(recorder.port(), 16'384);
  std::string expected;
  bool was_blocked = false;
  const auto say_more = [&](ConnId conn) {
    const std::size_t size = expected.size() % 7 == 0 ? 70'000 : 1 + expected.size() % 5'000;
    const std::string text = pattern(size, expected.size());
    if (expected.size() % 3 == 0) {
      recorder.engine().send_shared(conn, std::make_shared<const Bytes>(bytes_of(text)));
    } else {
      say(recorder.engine(), conn, text);
    }
    expected += text;
    was_blocked = was_blocked || recorder.engine().blocked(conn);
  };
  client.send_raw(bytes_of("go"));
  ASSERT_TRUE(recorder.run_until([&] { return recorder.data == "go"; }));
  const ConnId conn = recorder.accepted[0];
  std::string received;
  ASSERT_TRUE(recorder.run_until(
      [&] {
        for (int i = 0; i < 5 && expected.size() < 6'000'000; ++i) say_more(conn);
        client.send_raw(bytes_of("."));  // So that there is a next turn.
        char buffer[3000];
        const ssize_t n = recv(client.fd(), buffer, sizeof buffer, MSG_DONTWAIT);
        if (n > 0) received.append(buffer, static_cast<std::size_t>(n));
        return expected.size() >= 6'000'000;
      },
      400));
  EXPECT_TRUE(was_blocked);
  EXPECT_GT(recorder.engine().queued_bytes(conn), 0U);
  EXPECT_GT(recorder.engine().unacknowledged_bytes(conn), recorder.engine().queued_bytes(conn));
  ASSERT_TRUE(recorder.run_until(
      [&] {
        EXPECT_TRUE(read_available(client, received));
        client.send_raw(bytes_of("."));
        return received.size() >= expected.size();
      },
      400));
  EXPECT_TRUE(received == expected);
  ASSERT_TRUE(recorder.run_until([&] { return !recorder.drained.empty(); }));
  EXPECT_FALSE(recorder.engine().blocked(conn));
  EXPECT_EQ(recorder.engine().queued_bytes(conn), 0U);
  EXPECT_EQ(recorder.stats().bytes_out, expected.size());
}

TEST_P(EachEngine, NobodyIsAcceptedAfterTheEndOfAccepting) {
  Recorder recorder(options());
  const TestClient first(recorder.port());
  ASSERT_TRUE(recorder.run_until([&] { return recorder.accepted.size() == 1; }, 8));
  recorder.engine().stop_accepting();
  EXPECT_FALSE(recorder.run_until([&] { return false; }, 2));
  const TestClient second(recorder.port());
  EXPECT_FALSE(recorder.run_until([&] { return recorder.accepted.size() > 1; }, 2));
}

TEST_P(EachEngine, CountsWhatItMoves) {
  Recorder recorder(options());
  make_echo(recorder);
  TestClient client(recorder.port());
  std::string received;
  std::size_t sent = 0;
  ASSERT_TRUE(recorder.run_busily_until([&] {
    if (received.size() == sent && sent < 1'013'000) {
      client.send_raw(bytes_of(pattern(1013)));
      sent += 1013;
    }
    read_available(client, received);
    return received.size() == 1'013'000;
  }));
  EXPECT_EQ(recorder.stats().bytes_in, 1'013'000U);
  ASSERT_FALSE(recorder.run_until([&] { return false; }, 1));
  EXPECT_EQ(recorder.stats().bytes_out, 1'013'000U);
  EXPECT_GE(recorder.stats().events, 1000U);
  EXPECT_GE(recorder.stats().batch_max, 1U);
  EXPECT_GT(recorder.stats().handler_ns, 0U);
}

}  // namespace
}  // namespace epulse::server
