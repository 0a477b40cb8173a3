#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "server/engine/engines.hpp"
#include "server/engine/listener.hpp"
#include "server/session/mailbox.hpp"
#include "tests/server/test_client.hpp"

namespace epulse::server {

// Runs an engine on this thread until a condition holds; records what it is told.
class Recorder : public Handler {
 public:
  explicit Recorder(const EngineOptions& options)
      : listeners_(open_listeners(parse_address("127.0.0.1:0"), 1)),
        engine_(make_engine(with_descriptors(options), *this, stats_)) {}

  int port() const { return listeners_.address.port(); }
  int listener() const { return listeners_.sockets[0].get(); }
  Engine& engine() { return *engine_; }
  const epulse_stats_worker& stats() const { return stats_; }

  // False when `ticks` (a quarter of a second each) went by first. The condition is looked at
  // whenever something happens.
  bool run_until(std::function<bool()> condition, int ticks = 40) {
    condition_ = std::move(condition);
    ticks_left_ = ticks;
    wake();  // So that the condition is looked at without any event, too.
    if (!condition_()) engine_->run();
    return condition_();
  }

  // Looks in every turn, and lets the turns follow one another.
  bool run_busily_until(std::function<bool()> condition, int ticks = 40) {
    busy_ = true;
    const bool met = run_until(std::move(condition), ticks);
    busy_ = false;
    return met;
  }

  void on_accept(ConnId conn) override { accepted.push_back(conn); }
  void on_data(ConnId conn, std::span<std::uint8_t> input) override {
    if (on_bytes) {
      on_bytes(conn, input);
    } else {
      data += testing::text_of(input);
    }
    if (on_input) on_input(conn);
    look();
  }
  void on_drained(ConnId conn) override {
    drained.push_back(conn);
    look();
  }
  void on_closed(ConnId conn, CloseReason reason) override {
    closed.emplace_back(conn, reason);
    look();
  }
  void on_wake() override {
    look();
    if (busy_) wake();
  }
  void on_tick() override {
    if (on_clock) on_clock();
    if (--ticks_left_ <= 0) engine_->stop();
    look();
  }

  std::vector<ConnId> accepted;
  std::vector<ConnId> drained;
  std::vector<std::pair<ConnId, CloseReason>> closed;
  std::string data;
  std::function<void(ConnId)> on_input;
  std::function<void(ConnId, std::span<std::uint8_t>)> on_bytes;  // instead of recording them
  std::function<void()> on_clock;

 private:
  EngineOptions with_descriptors(EngineOptions options) const {
    options.listen_fd = listeners_.sockets[0].get();
    options.wake_fd = waker_.fd();
    return options;
  }

  void wake() {
    waker_.acknowledge();
    waker_.wake();
  }

  void look() {
    if (condition_()) engine_->stop();
  }

  Listeners listeners_;
  Waker waker_;
  epulse_stats_worker stats_{};
  std::function<bool()> condition_;
  int ticks_left_ = 0;
  bool busy_ = false;
  std::unique_ptr<Engine> engine_;
};

inline void say(Engine& engine, ConnId conn, std::string_view text) {
  const auto bytes = testing::bytes_of(text);
  const Part part(bytes);
  engine.send(conn, {&part, 1});
}

// Answers everything with itself.
inline void make_echo(Recorder& recorder) {
  recorder.on_bytes = [&recorder](ConnId conn, std::span<std::uint8_t> input) {
    const Part part(input);
    recorder.engine().send(conn, {&part, 1});
  };
}

// Bytes that tell where in the stream they belong.
inline std::string pattern(std::size_t size, std::size_t start = 0) {
  std::string text(size, ' ');
  for (std::size_t i = 0; i < size; ++i) {
    const std::size_t at = start + i;
    text[i] = static_cast<char>(at ^ (at >> 8U) * 7 ^ (at >> 16U) * 31);
  }
  return text;
}

// What a client's socket has; false at the end of the stream or on an error.
inline bool read_available(const testing::TestClient& client, std::string& into) {
  std::string buffer(std::size_t{1} << 16U, ' ');
  while (true) {
    const ssize_t n = recv(client.fd(), buffer.data(), buffer.size(), MSG_DONTWAIT);
    if (n < 0) return errno == EAGAIN;
    if (n == 0) return false;
    into.append(buffer, 0, static_cast<std::size_t>(n));
  }
}

// What a client gets until its stream ends, read from inside the loop of the engine: one thread is
// enough. Gives up after a while, with what there was.
inline std::string read_to_the_end(Recorder& recorder, const testing::TestClient& client) {
  std::string received;
  bool end = false;
  EXPECT_TRUE(recorder.run_busily_until([&] {
    end = end || !read_available(client, received);
    return end;
  }));
  return received;
}

}  // namespace epulse::server
