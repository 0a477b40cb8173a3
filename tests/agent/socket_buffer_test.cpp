#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/capability.h>
#include <sys/socket.h>

#include <chrono>
#include <cstring>
#include <future>
#include <thread>

#include "agent/actuate/actuator.hpp"
#include "agent/actuate/remote_socket.hpp"
#include "agent/actuate/socket_buffer.hpp"
#include "agent/actuate/socket_sampler.hpp"
#include "agent/error.hpp"
#include "tests/agent/child.hpp"
#include "tests/agent/temp_dir.hpp"

namespace epulse::actuate {
namespace {

using model::BufferSide;
using model::SocketSample;

// A TCP connection over loopback; `inner` is handed to a child, `outer` stays here.
class Connection {
 public:
  Connection() {
    const UniqueFd listener(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    auto* const any = reinterpret_cast<sockaddr*>(&address);
    EXPECT_EQ(bind(listener.get(), any, size), 0);
    EXPECT_EQ(listen(listener.get(), 1), 0);
    EXPECT_EQ(getsockname(listener.get(), any, &size), 0);
    outer = UniqueFd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    EXPECT_EQ(connect(outer.get(), any, size), 0);
    inner = UniqueFd(accept(listener.get(), nullptr, nullptr));
    EXPECT_GE(inner.get(), 0);
  }

  UniqueFd inner;
  UniqueFd outer;
};

// Of this thread, until the end of the scope.
class WithoutCapability {
 public:
  explicit WithoutCapability(cap_value_t capability) : capability_(capability) { set(CAP_CLEAR); }
  WithoutCapability(const WithoutCapability&) = delete;
  WithoutCapability& operator=(const WithoutCapability&) = delete;
  ~WithoutCapability() { set(CAP_SET); }

 private:
  void set(cap_flag_value_t value) const {
    const cap_t own = cap_get_proc();
    cap_set_flag(own, CAP_EFFECTIVE, 1, &capability_, value);
    EXPECT_EQ(cap_set_proc(own), 0);
    cap_free(own);
  }

  cap_value_t capability_;
};

class SocketBufferTest : public ::testing::Test {
 protected:
  SocketBufferTest() : child_([this] { connection_.outer.reset(); }) {
    inner_ = connection_.inner.get();
    inode_ = socket_inode(inner_).value_or(0);
  }

  void SetUp() override {
    try {
      take_descriptor(open_process(child_.pid()), child_.pid(), inner_);
    } catch (const Error& error) {
      GTEST_SKIP() << error.what();
    }
  }

  SocketBuffer change(BufferSide side) const {
    SocketBuffer change;
    change.pid = child_.pid();
    change.start_ticks = child_.start_ticks();
    change.fd = inner_;
    change.inode = inode_;
    change.side = side;
    change.old_bytes = buffer_bytes(inner_, side);
    change.new_bytes = change.old_bytes / 2 * 2 + 100000;
    return change;
  }

  Connection connection_;
  Child child_;  // shares the sockets
  TempDir dir_;
  int inner_ = -1;
  uint64_t inode_ = 0;
};

TEST_F(SocketBufferTest, AppliesAndUndoesExactlyWithTheAutoTuning) {
  for (const BufferSide side : {BufferSide::kReceive, BufferSide::kSend}) {
    Actuator actuator(dir_.path());
    const auto lock_before = buffer_lock(inner_);
    const SocketBuffer wanted = change(side);
    const uint64_t seq = actuator.apply(wanted, "a test");
    EXPECT_EQ(buffer_bytes(inner_, side), wanted.new_bytes);
    if (lock_before) {
      EXPECT_EQ(buffer_lock(inner_), lock_bit(side));
    }
    const Outcome outcome = actuator.undo(seq);
    EXPECT_EQ(outcome.result, UndoResult::kRestored) << outcome.text;
    EXPECT_EQ(buffer_bytes(inner_, side), wanted.old_bytes);
    EXPECT_EQ(buffer_lock(inner_), lock_before);
    if (lock_before) {
      EXPECT_EQ(*lock_before, 0U);
      EXPECT_NE(outcome.text.find("the kernel tunes it again"), std::string::npos) << outcome.text;
    }
    EXPECT_TRUE(actuator.pending().empty());
  }
}

TEST_F(SocketBufferTest, ASizeThatTheProgramSetStaysSet) {
  set_buffer_bytes(inner_, BufferSide::kSend, 65536);
  set_buffer_bytes(inner_, BufferSide::kReceive, 65536);
  const auto lock_before = buffer_lock(inner_);
  Actuator actuator(dir_.path());
  const uint64_t seq = actuator.apply(change(BufferSide::kReceive), "a test");
  EXPECT_EQ(actuator.undo(seq).result, UndoResult::kRestored);
  EXPECT_EQ(buffer_bytes(inner_, BufferSide::kReceive), 65536U);
  EXPECT_EQ(buffer_lock(inner_), lock_before);
}

// The kernel may tune a size between the sample and the change; a size that was set may not differ.
// What the kernel would cut down to its limit is not set at all: the connection keeps its size.
TEST_F(SocketBufferTest, WithoutTheRightForItNothingIsCutDown) {
  if (geteuid() != 0) GTEST_SKIP() << "needs root, to give the right up for a while";
  set_buffer_bytes(inner_, BufferSide::kReceive, 64U << 20);  // above the limit, as root may
  SocketBuffer large = change(BufferSide::kReceive);
  Actuator actuator(dir_.path());
  const WithoutCapability limited(CAP_NET_ADMIN);
  const std::string error = error_of([&] { actuator.apply(large, "full"); });
  EXPECT_NE(error.find("net.core.rmem_max"), std::string::npos) << error;
  EXPECT_EQ(buffer_bytes(inner_, BufferSide::kReceive), large.old_bytes);
  EXPECT_TRUE(actuator.pending().empty());
}

TEST_F(SocketBufferTest, OldSizeIsReadWhenItIsJournaled) {
  Actuator actuator(dir_.path());
  SocketBuffer stale = change(BufferSide::kReceive);
  const uint64_t now_bytes = stale.old_bytes;
  stale.old_bytes -= 1000;
  if (buffer_lock(inner_)) {
    const uint64_t seq = actuator.apply(stale, "a test");
    EXPECT_EQ(std::get<SocketBuffer>(actuator.pending()[0].change).old_bytes, now_bytes);
    actuator.undo(seq);
    EXPECT_EQ(buffer_bytes(inner_, BufferSide::kReceive), now_bytes);
  }
  set_buffer_bytes(inner_, BufferSide::kReceive, 65536);
  EXPECT_NE(error_of([&] { actuator.apply(stale, "a test"); }).find("somebody else changed it"),
            std::string::npos);
  EXPECT_EQ(buffer_bytes(inner_, BufferSide::kReceive), 65536U);
}

TEST_F(SocketBufferTest, StandsDownWhenChangedSince) {
  Actuator actuator(dir_.path());
  actuator.apply(change(BufferSide::kReceive), "a test");
  set_buffer_bytes(inner_, BufferSide::kReceive, 50000);
  const auto outcomes = actuator.undo_all();
  ASSERT_EQ(outcomes.size(), 1U);
  EXPECT_EQ(outcomes[0].result, UndoResult::kStoodDown) << outcomes[0].text;
  EXPECT_EQ(buffer_bytes(inner_, BufferSide::kReceive), 50000U);
}

// The journal is written between the two, and that may take a while.
TEST_F(SocketBufferTest, ASizeSetWhileTheJournalWasWrittenStays) {
  const SocketBuffer prepared = prepare(change(BufferSide::kReceive));
  set_buffer_bytes(inner_, BufferSide::kReceive, 65536);
  EXPECT_NE(error_of([&] { perform(prepared); }).find("somebody else"), std::string::npos);
  EXPECT_EQ(buffer_bytes(inner_, BufferSide::kReceive), 65536U);
}

TEST_F(SocketBufferTest, NeverShrinks) {
  Actuator actuator(dir_.path());
  SocketBuffer smaller = change(BufferSide::kReceive);
  smaller.new_bytes = smaller.old_bytes - 2;
  EXPECT_NE(error_of([&] { actuator.apply(smaller, "a test"); }).find("already"),
            std::string::npos);
  EXPECT_TRUE(actuator.pending().empty());
}

TEST_F(SocketBufferTest, AnotherSocketOnTheDescriptorIsLeftAlone) {
  Actuator actuator(dir_.path());
  SocketBuffer other = change(BufferSide::kReceive);
  other.inode += 1;
  EXPECT_NE(error_of([&] { actuator.apply(other, "a test"); }).find("is closed"),
            std::string::npos);
  other = change(BufferSide::kReceive);
  other.start_ticks -= 1;
  EXPECT_NE(error_of([&] { actuator.apply(other, "a test"); }).find("is closed"),
            std::string::npos);
}

TEST_F(SocketBufferTest, AClosedSocketIsNothingToUndo) {
  Actuator actuator(dir_.path());
  actuator.apply(change(BufferSide::kReceive), "a test");
  child_.kill();
  const auto outcomes = actuator.undo_all();
  ASSERT_EQ(outcomes.size(), 1U);
  EXPECT_EQ(outcomes[0].result, UndoResult::kGone);
}

// The commoner way in which a process's number is used again.
TEST_F(SocketBufferTest, AProcessWhoseNumberIsAThreadsNowHasEnded) {
  SocketBuffer change = this->change(BufferSide::kReceive);
  std::promise<void> end;
  std::promise<pid_t> started;
  std::thread thread([&] {
    started.set_value(gettid());
    end.get_future().wait();
  });
  change.pid = started.get_future().get();
  EXPECT_EQ(look(change), Standing::kGone);
  EXPECT_EQ(undo(change).result, UndoResult::kGone);
  end.set_value();
  thread.join();
}

TEST_F(SocketBufferTest, AClosedSocketIsForgottenAndAnOpenOneIsNot) {
  Connection second;
  Child holder;  // has both connections
  SocketBuffer other = change(BufferSide::kReceive);
  other.pid = holder.pid();
  other.start_ticks = holder.start_ticks();
  other.fd = second.inner.get();
  other.inode = socket_inode(second.inner.get()).value_or(0);
  Actuator actuator(dir_.path());
  const uint64_t first = actuator.apply(change(BufferSide::kReceive), "a test");
  const uint64_t last = actuator.apply(other, "a test");
  EXPECT_TRUE(actuator.forget_settled({}, 10).empty()) << "both are open";
  holder.kill();
  ASSERT_EQ(in_force(actuator.pending()).size(), 1U);
  EXPECT_EQ(in_force(actuator.pending())[0].seq, first);
  EXPECT_TRUE(actuator.forget_settled(std::vector{last}, 10).empty()) << "it is spared";
  EXPECT_TRUE(actuator.forget_settled({}, 1).empty()) << "the turn of the first";
  const auto gone = actuator.forget_settled({}, 1);
  ASSERT_EQ(gone.size(), 1U);
  EXPECT_EQ(gone[0].seq, last);
  EXPECT_EQ(gone[0].result, UndoResult::kGone);
  ASSERT_EQ(actuator.pending().size(), 1U);
  EXPECT_EQ(Journal::read(dir_.path()).pending.size(), 1U) << "on disk as well";
  EXPECT_EQ(buffer_bytes(inner_, BufferSide::kReceive),
            std::get<SocketBuffer>(actuator.pending()[0].change).new_bytes);
}

TEST_F(SocketBufferTest, KilledAtAnyStepIsUndoneByTheNext) {
  if (!buffer_lock(inner_)) GTEST_SKIP() << "needs SO_BUF_LOCK, Linux 5.14";
  SocketBuffer made = change(BufferSide::kReceive);
  made.old_lock = 0;
  const std::string journal = encode(IntentRecord{1, made, 0, "of a dead daemon"});
  const auto recover = [&] {
    write_text(dir_.file("journal"), journal);
    Actuator next(dir_.path());
    const auto outcomes = next.recover();
    ASSERT_EQ(outcomes.size(), 1U);
    EXPECT_EQ(outcomes[0].result, UndoResult::kRestored) << outcomes[0].text;
    EXPECT_EQ(buffer_bytes(inner_, BufferSide::kReceive), made.old_bytes);
    EXPECT_EQ(buffer_lock(inner_), 0U);
  };
  recover();  // announced only
  set_buffer_bytes(inner_, BufferSide::kReceive, made.new_bytes);
  recover();  // made
  set_buffer_bytes(inner_, BufferSide::kReceive, made.old_bytes);
  recover();  // size restored, still locked
}

// Announced only, and the kernel has tuned the size since: that is its business, nobody else's.
TEST_F(SocketBufferTest, WhatTheKernelTunedSinceIsNoStandDown) {
  if (!buffer_lock(inner_)) GTEST_SKIP() << "needs SO_BUF_LOCK, Linux 5.14";
  SocketBuffer announced = change(BufferSide::kReceive);
  announced.old_lock = 0;
  const uint64_t tuned_bytes = announced.old_bytes / 2 * 2 + 5000;
  set_buffer_bytes(inner_, BufferSide::kReceive, tuned_bytes);
  set_buffer_lock(inner_, 0);
  write_text(dir_.file("journal"), encode(IntentRecord{1, announced, 0, "of a dead daemon"}));
  Actuator next(dir_.path());
  const auto outcomes = next.recover();
  ASSERT_EQ(outcomes.size(), 1U);
  EXPECT_EQ(outcomes[0].result, UndoResult::kRestored) << outcomes[0].text;
  EXPECT_EQ(buffer_bytes(inner_, BufferSide::kReceive), tuned_bytes);
}

TEST_F(SocketBufferTest, SamplesEstablishedTcpOnly) {
  const UniqueFd listener(socket(AF_INET, SOCK_STREAM, 0));
  ASSERT_EQ(listen(listener.get(), 1), 0);
  const UniqueFd datagram(socket(AF_INET, SOCK_DGRAM, 0));
  int pair[2] = {-1, -1};
  ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
  const UniqueFd one(pair[0]);
  const UniqueFd two(pair[1]);
  const Child busy;  // inherits all of them
  const SocketSamples samples = sample_sockets(busy.pid(), 100);
  ASSERT_EQ(samples.sockets.size(), 2U) << "the two ends of the connection";
  EXPECT_FALSE(samples.truncated);
  EXPECT_EQ(samples.sockets[0].inode, socket_inode(samples.sockets[0].fd));
  const SocketSamples limited = sample_sockets(busy.pid(), 1);
  EXPECT_EQ(limited.sockets.size(), 1U);
  EXPECT_TRUE(limited.truncated);
}

TEST_F(SocketBufferTest, SampleShowsWhatIsQueued) {
  const std::string bytes(20000, 'x');
  ASSERT_EQ(send(connection_.outer.get(), bytes.data(), bytes.size(), 0),
            static_cast<ssize_t>(bytes.size()));
  const auto sampled = [&] {
    for (const SocketSample& sample : sample_sockets(child_.pid(), 100).sockets) {
      if (sample.inode == inode_) return sample;
    }
    return SocketSample{};
  };
  EXPECT_TRUE(eventually([&] { return sampled().rmem_alloc_bytes >= bytes.size(); }));
  const SocketSample sample = sampled();
  EXPECT_EQ(sample.fd, inner_);
  EXPECT_EQ(sample.rcvbuf_bytes, buffer_bytes(inner_, BufferSide::kReceive));
  EXPECT_EQ(sample.sndbuf_bytes, buffer_bytes(inner_, BufferSide::kSend));
  EXPECT_EQ(sample.buffer_lock, buffer_lock(inner_));
  EXPECT_EQ(sample.received_bytes, bytes.size());
}

TEST_F(SocketBufferTest, ACloserLookIsAtTheseDescriptorsAlone) {
  ASSERT_EQ(send(inner_, "abc", 3, 0), 3);
  const int closed = connection_.inner.get() + 100;
  const std::vector<int> fds = {inner_, closed, STDERR_FILENO};
  ASSERT_TRUE(eventually([&] {
    const auto all = sample_sockets(child_.pid(), fds);
    return all.size() == 1 && all[0].fd == inner_ && all[0].acked_bytes >= 3;
  }));
}

TEST_F(SocketBufferTest, TheNetworkSampleHasListenersWithTheirQueues) {
  const UniqueFd listener(socket(AF_INET, SOCK_STREAM, 0));
  ASSERT_EQ(listen(listener.get(), 1), 0);
  sockaddr_in address{};
  socklen_t size = sizeof address;
  auto* const any = reinterpret_cast<sockaddr*>(&address);
  ASSERT_EQ(getsockname(listener.get(), any, &size), 0);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const Child holder;  // inherits all of them
  std::vector<UniqueFd> clients;
  for (int i = 0; i < 6; ++i) {
    clients.emplace_back(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0));
    [[maybe_unused]] const int begun = connect(clients.back().get(), any, size);
  }
  const auto sampled = [&] { return sample_network(holder.pid(), 1); };
  ASSERT_TRUE(eventually([&] {
    const auto found = sampled().listeners;
    return found.size() == 1 && found[0].drops > 0;
  })) << "a backlog of 1 has room for two";
  const model::NetworkSample network = sampled();
  EXPECT_EQ(network.listeners[0].backlog, 1U);
  EXPECT_EQ(network.listeners[0].queued, 2U);
  EXPECT_EQ(network.listeners[0].fd, listener.get());
  ASSERT_EQ(network.connections.size(), 1U) << "no more than asked for";
  EXPECT_FALSE(network.connections[0].congestion_control.empty());
  EXPECT_EQ(network.connections[0].napi_id, 0U) << "loopback has no queue of a card";
}

TEST_F(SocketBufferTest, AProcessThatEndedHasNoSockets) {
  const pid_t pid = child_.pid();
  child_.kill();
  EXPECT_TRUE(sample_sockets(pid, 100).sockets.empty());
}

// Killed at any instant while it changes both sides and undoes it: size and auto-tuning come back.
TEST_F(SocketBufferTest, KilledAtAnyInstantIsUndoneByTheNext) {
  const auto lock_before = buffer_lock(inner_);
  const uint64_t receive_before = buffer_bytes(inner_, BufferSide::kReceive);
  const uint64_t send_before = buffer_bytes(inner_, BufferSide::kSend);
  for (int round = 0; round < 30; ++round) {
    const TempDir dir;
    {
      Child agent([&] {
        std::thread([this, path = dir.path()] {
          Actuator actuator(path);
          for (;;) {
            actuator.apply(change(BufferSide::kReceive), "again and again");
            actuator.apply(change(BufferSide::kSend), "and the other side");
            actuator.undo_all();
          }
        }).detach();
      });
      std::this_thread::sleep_for(std::chrono::microseconds(293 * round));  // the instant of death
    }
    Actuator next(dir.path());
    for (const Outcome& outcome : next.recover()) {
      EXPECT_EQ(outcome.result, UndoResult::kRestored) << outcome.text;
    }
    ASSERT_EQ(buffer_bytes(inner_, BufferSide::kReceive), receive_before) << round;
    ASSERT_EQ(buffer_bytes(inner_, BufferSide::kSend), send_before) << round;
    ASSERT_EQ(buffer_lock(inner_), lock_before) << round;
  }
}

TEST_F(SocketBufferTest, AnAdministratorsNewerValueStays) {
  Actuator actuator(dir_.path());
  actuator.apply(change(BufferSide::kReceive), "a test");
  const uint64_t theirs = 81920;
  set_buffer_bytes(inner_, BufferSide::kReceive, theirs);
  const auto outcomes = actuator.undo_all();
  ASSERT_EQ(outcomes.size(), 1U);
  EXPECT_EQ(outcomes[0].result, UndoResult::kStoodDown) << outcomes[0].text;
  EXPECT_EQ(buffer_bytes(inner_, BufferSide::kReceive), theirs);
  EXPECT_TRUE(actuator.pending().empty());
}

}  // namespace
}  // namespace epulse::actuate
