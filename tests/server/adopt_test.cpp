// Engines driven by their caller, with connections that the caller has opened.
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <cerrno>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "server/engine/clock.hpp"
#include "server/error.hpp"
#include "tests/server/recorder.hpp"

namespace epulse::server {
namespace {

using testing::bytes_of;

// Records what it is told, and nobody but the test decides when.
class Caller : public Handler {
 public:
  explicit Caller(const EngineOptions& options) : engine_(make_engine(options, *this, stats_)) {}

  SocketEngine& engine() { return *engine_; }

  template <typename Condition>
  bool turn_until(Condition condition) {
    const std::uint64_t deadline = clock_ns() + 10 * kSecondNs;
    while (!condition() && clock_ns() < deadline) engine_->turn(kTickNs / 50);
    return condition();
  }

  void on_accept(ConnId /*conn*/) override { ++accepted; }
  void on_data(ConnId conn, std::span<std::uint8_t> input) override {
    data += testing::text_of(input);
    if (on_input) on_input(conn);
  }
  void on_drained(ConnId conn) override {
    drained.push_back(conn);
    if (on_connected) on_connected(conn);
  }
  void on_closed(ConnId /*conn*/, CloseReason reason) override {
    closed.push_back(reason);
    code = engine_->close_errno();
  }
  void on_wake() override {}
  void on_tick() override {}

  int accepted = 0;
  std::vector<ConnId> drained;
  std::vector<CloseReason> closed;
  int code = 0;
  std::string data;
  std::function<void(ConnId)> on_input;
  std::function<void(ConnId)> on_connected;

 private:
  epulse_stats_worker stats_{};
  std::unique_ptr<SocketEngine> engine_;
};

// The other end, which blocks.
class Peer {
 public:
  Peer() : listener_(open_listeners(parse_address("127.0.0.1:0"), 1)) {}

  const Address& address() const { return listener_.address; }
  // A socket on its way here.
  UniqueFd connect() const { return connect_to(listener_.address); }
  static UniqueFd connect_to(const Address& address) {
    UniqueFd fd(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    const bool begun = ::connect(fd.get(), address.get(), address.size) == 0;
    EXPECT_TRUE(begun || errno == EINPROGRESS);
    return fd;
  }
  void accept() {
    // The listener does not block.
    while (!socket_) socket_ = UniqueFd(accept4(listener_.sockets[0].get(), nullptr, nullptr, 0));
  }
  // An address where nobody listens.
  static Address nobody() { return Peer().address(); }

  int fd() const { return socket_.get(); }
  void say(std::string_view text) const { ::send(fd(), text.data(), text.size(), MSG_NOSIGNAL); }
  void end() { socket_.reset(); }
  // What there is; nothing at the end of the stream.
  std::string hear() const {
    std::string text(65536, ' ');
    const ssize_t n = recv(fd(), text.data(), text.size(), 0);
    return text.substr(0, n < 0 ? 0 : static_cast<std::size_t>(n));
  }

 private:
  Listeners listener_;
  UniqueFd socket_;
};

void say_gathered(SocketEngine& engine, ConnId conn, std::string_view text) {
  engine.send_gathered(conn, bytes_of(text));
}

struct Variant {
  const char* name;
  EngineOptions options;
};

class Adopted : public ::testing::TestWithParam<Variant> {
 protected:
  void SetUp() override {
    const std::string reason = why_unavailable(GetParam().options);
    if (!reason.empty()) GTEST_SKIP() << reason;
    caller.emplace(GetParam().options);
  }
  SocketEngine& engine() { return caller->engine(); }
  ConnId connect() {
    const ConnId conn = engine().adopt(peer.connect());
    EXPECT_TRUE(caller->turn_until([&] { return caller->drained.size() == 1; }));
    peer.accept();
    return conn;
  }

  std::optional<Caller> caller;
  Peer peer;
};

INSTANTIATE_TEST_SUITE_P(
    All, Adopted,
    ::testing::Values(Variant{"epoll", {}}, Variant{"epoll_edge", {.epoll_mode = EpollMode::kEdge}},
                      Variant{"epoll_one_shot", {.epoll_mode = EpollMode::kOneShot}},
                      Variant{"io_uring", {.kind = EngineKind::kUring}}),
    [](const auto& test) { return test.param.name; });

TEST_P(Adopted, TalksInBothDirections) {
  const ConnId conn = connect();
  EXPECT_EQ(caller->drained[0], conn);
  EXPECT_FALSE(engine().blocked(conn));
  say_gathered(engine(), conn, "from outside");
  caller->on_input = [&](ConnId from) {
    say(engine(), from, "an ");
    say_gathered(engine(), from, "answer");
  };
  engine().turn(0);
  EXPECT_EQ(peer.hear(), "from outside");
  peer.say("question");
  ASSERT_TRUE(caller->turn_until([&] { return caller->data == "question"; }));
  engine().turn(0);
  EXPECT_EQ(peer.hear(), "an answer");
  EXPECT_EQ(caller->accepted, 0);
  sockaddr_storage storage{};
  socklen_t size = sizeof storage;
  getpeername(peer.fd(), reinterpret_cast<sockaddr*>(&storage), &size);
  EXPECT_EQ(engine().own_address(conn).text(), (Address{storage, size}).text());
  EXPECT_EQ(engine().peer_address(conn).text(), peer.address().text());
  peer.end();
  ASSERT_TRUE(caller->turn_until([&] { return !caller->closed.empty(); }));
  EXPECT_EQ(caller->closed[0], CloseReason::kPeer);
  EXPECT_EQ(engine().own_address(conn).size, 0U);
  EXPECT_EQ(caller->drained.size(), 1U);
}

TEST_P(Adopted, WhatIsSaidBeforeItIsConnectedWaits) {
  Peer other;
  const ConnId beside = engine().adopt(other.connect());
  ASSERT_TRUE(caller->turn_until([&] { return caller->drained.size() == 1; }));
  const ConnId conn = engine().adopt(peer.connect());
  // Where it waits is not for others to use.
  caller->on_connected = [&](ConnId) { say(engine(), beside, "beside it"); };
  EXPECT_TRUE(engine().blocked(conn));
  say_gathered(engine(), conn, "early ");
  say(engine(), conn, "bird");
  EXPECT_EQ(engine().queued_bytes(conn), 10U);
  ASSERT_TRUE(caller->turn_until([&] { return caller->drained.size() == 2; }));
  peer.accept();
  engine().turn(0);
  EXPECT_EQ(engine().queued_bytes(conn), 0U);
  std::string heard;
  while (heard.size() < 10) heard += peer.hear();
  EXPECT_EQ(heard, "early bird");
}

TEST_P(Adopted, AnswersAsSoonAsItIsConnected) {
  caller->on_connected = [&](ConnId conn) { say_gathered(engine(), conn, "hello"); };
  connect();
  engine().turn(0);
  EXPECT_EQ(peer.hear(), "hello");
}

TEST_P(Adopted, IsToldWhyNobodyAnswers) {
  engine().adopt(Peer::connect_to(Peer::nobody()));
  ASSERT_TRUE(caller->turn_until([&] { return !caller->closed.empty(); }));
  EXPECT_EQ(caller->closed[0], CloseReason::kError);
  EXPECT_EQ(caller->code, ECONNREFUSED);
  EXPECT_TRUE(caller->drained.empty());
}

TEST_P(Adopted, IsToldOfAReset) {
  connect();
  const linger reset{1, 0};
  setsockopt(peer.fd(), SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
  peer.end();
  ASSERT_TRUE(caller->turn_until([&] { return !caller->closed.empty(); }));
  EXPECT_EQ(caller->closed[0], CloseReason::kError);
  EXPECT_EQ(caller->code, ECONNRESET);
}

TEST_P(Adopted, ClosesWithoutWaitingBehindWhatItHasSaid) {
  const ConnId conn = connect();
  say(engine(), conn, "last ");
  engine().close(conn);
  say(engine(), conn, "too late");
  ASSERT_TRUE(caller->turn_until([&] { return !caller->closed.empty(); }));
  EXPECT_EQ(caller->closed[0], CloseReason::kFinished);
  engine().turn(0);
  EXPECT_EQ(peer.hear(), "last ");
  EXPECT_EQ(peer.hear(), "");
}

TEST_P(Adopted, ClosesFromACallbackAndIsToldNothingMore) {
  connect();
  caller->on_input = [&](ConnId conn) {
    say_gathered(engine(), conn, "last ");
    say(engine(), conn, "words");
    engine().close(conn);
  };
  peer.say("go");
  ASSERT_TRUE(caller->turn_until([&] { return !caller->closed.empty(); }));
  engine().turn(0);
  EXPECT_EQ(peer.hear(), "last words");
  EXPECT_EQ(peer.hear(), "");
  EXPECT_EQ(caller->data, "go");
}

// What the socket does not take is dropped.
TEST_P(Adopted, ClosesWithMoreThanTheSocketTakes) {
  const ConnId conn = connect();
  const std::string much = pattern(20'000'000);
  say_gathered(engine(), conn, much);
  engine().turn(0);
  EXPECT_TRUE(engine().blocked(conn));
  engine().close(conn);
  ASSERT_TRUE(caller->turn_until([&] { return !caller->closed.empty(); }));
  engine().turn(0);
  std::string heard;
  for (std::string piece = peer.hear(); !piece.empty(); piece = peer.hear()) heard += piece;
  EXPECT_GT(heard.size(), 0U);
  EXPECT_LT(heard.size(), much.size());
  EXPECT_TRUE(much.starts_with(heard));
}

// A queue of connections that nobody accepts, so that the last ones are on their way for ever.
TEST_P(Adopted, ClosesWhatIsNotConnectedYet) {
  const UniqueFd listener(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const Address any = parse_address("127.0.0.1:0");
  ASSERT_EQ(bind(listener.get(), any.get(), any.size), 0);
  ASSERT_EQ(listen(listener.get(), 0), 0);
  const Address address = local_address(listener.get());
  std::vector<ConnId> conns(8);
  for (ConnId& conn : conns) conn = engine().adopt(Peer::connect_to(address));
  for (int i = 0; i < 4; ++i) engine().turn(kTickNs / 50);
  EXPECT_LT(caller->drained.size(), conns.size());
  EXPECT_TRUE(engine().blocked(conns.back()));
  for (const ConnId conn : conns) engine().close(conn);
  ASSERT_TRUE(caller->turn_until([&] { return caller->closed.size() == conns.size(); }));
  for (const CloseReason reason : caller->closed) EXPECT_EQ(reason, CloseReason::kFinished);
}

TEST_P(Adopted, TurnsEndInTime) {
  connect();
  bool in_time = false;
  // Others may be busy, and a tick ends a turn early.
  for (int tries = 0; tries < 10 && !in_time; ++tries) {
    const std::uint64_t start = clock_ns();
    for (int i = 0; i < 10; ++i) engine().turn(1'000'000);
    const std::uint64_t passed = clock_ns() - start;
    in_time = passed >= 10'000'000 && passed < 40'000'000;
  }
  EXPECT_TRUE(in_time);
}

// Their places are used again and again.
TEST_P(Adopted, ManyOneAfterTheOther) {
  for (int i = 0; i < 1'000; ++i) {
    const ConnId conn = engine().adopt(Peer::connect_to(peer.address()));
    engine().close(conn);
    if (i % 50 == 0) engine().turn(0);
  }
  EXPECT_TRUE(caller->turn_until([&] { return caller->closed.size() == 1'000; }));
}

TEST(AdoptedByUring, SaysWhenThereIsNoPlace) {
  EngineOptions options{.kind = EngineKind::kUring};
  options.ring.files = 1;
  if (const std::string reason = why_unavailable(options); !reason.empty()) GTEST_SKIP() << reason;
  Caller caller(options);
  const Peer peer;
  caller.engine().adopt(peer.connect());
  try {
    caller.engine().adopt(peer.connect());
    FAIL();
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("its table has 1 places"), std::string::npos)
        << error.what();
  }
}

}  // namespace
}  // namespace epulse::server
