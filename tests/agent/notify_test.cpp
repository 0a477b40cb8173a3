// Receivers of alarms that are well, down, slow, or talk nonsense, and programs that fail or hang.
#include <arpa/inet.h>
#include <fmt/chrono.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include <array>
#include <atomic>
#include <chrono>
#include <map>
#include <mutex>
#include <nlohmann/json.hpp>
#include <thread>

#include "agent/notify/alertmanager.hpp"
#include "agent/notify/exec_hook.hpp"
#include "common/unique_fd.hpp"
#include "tests/agent/child.hpp"
#include "tests/agent/temp_dir.hpp"

namespace epulse::notify {
namespace {

using alerts::Alarm;
using std::chrono::milliseconds;
using std::chrono::steady_clock;

Alarm alarm(uint64_t id) {
  return {.id = id,
          .labels = {{"alertname", "a" + std::to_string(id)}},
          .annotations = {{"summary", "ALERT it is late"}},
          .starts_unix_ms = 1'000'000};
}
Alarm over(Alarm one) {
  one.ends_unix_ms = 2'000'000;
  return one;
}

// An HTTP receiver on loopback: one request a connection, answered with whatever is set.
class Receiver {
 public:
  Receiver() : listener_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    auto* const any = reinterpret_cast<sockaddr*>(&address);
    EXPECT_EQ(bind(listener_.get(), any, size), 0);
    EXPECT_EQ(getsockname(listener_.get(), any, &size), 0);
    port_ = ntohs(address.sin_port);
  }
  ~Receiver() {
    stop_ = true;
    if (thread_.joinable()) thread_.join();
  }

  std::string url() const { return "http://127.0.0.1:" + std::to_string(port_); }

  // Until then connections are refused.
  void listen() {
    EXPECT_EQ(::listen(listener_.get(), 8), 0);
    thread_ = std::thread([this] { serve(); });
  }
  void answer(const std::string& text) {
    const std::lock_guard lock(mutex_);
    answer_ = text;
  }
  // What names this is answered with 400.
  void dislike(const std::string& text) {
    const std::lock_guard lock(mutex_);
    disliked_ = text;
  }
  // By alertname: whether it was last said to fire, of all accepted requests.
  std::map<std::string, bool> heard() const {
    const std::lock_guard lock(mutex_);
    return heard_;
  }
  // The annotation of the alarm that was last accepted.
  std::string last_value() const {
    const std::lock_guard lock(mutex_);
    return last_value_;
  }
  int requests() const { return requests_; }
  std::string first_line() const {
    const std::lock_guard lock(mutex_);
    return first_line_;
  }

  static constexpr const char* kOk = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";

 private:
  void serve() {
    while (!stop_) {
      pollfd waiting{listener_.get(), POLLIN, 0};
      if (poll(&waiting, 1, 10) != 1) continue;
      const UniqueFd client(accept(listener_.get(), nullptr, nullptr));
      const std::string request = read_request(client.get());
      ++requests_;
      const std::lock_guard lock(mutex_);
      first_line_ = request.substr(0, request.find('\r'));
      const std::string body = request.substr(request.find("\r\n\r\n") + 4);
      if (!disliked_.empty() && body.find(disliked_) != std::string::npos) {
        send_text(client, "HTTP/1.1 400 Bad Request\r\nContent-Length: 9\r\n\r\nbad label");
        continue;
      }
      if (answer_ == kOk) hear(body);
      if (answer_.empty()) {  // says nothing, and keeps the connection
        silent_.emplace_back(dup(client.get()));
        continue;
      }
      send_text(client, answer_);
    }
  }

  static void send_text(const UniqueFd& client, const std::string& text) {
    [[maybe_unused]] const ssize_t sent =
        send(client.get(), text.data(), text.size(), MSG_NOSIGNAL);
  }

  static std::string read_request(int fd) {
    std::string text;
    size_t wanted = std::string::npos;
    std::array<char, 4096> chunk{};
    while (text.size() < wanted) {
      const ssize_t got = recv(fd, chunk.data(), chunk.size(), 0);
      if (got <= 0) break;
      text.append(chunk.data(), static_cast<size_t>(got));
      const size_t end = text.find("\r\n\r\n");
      const size_t length = text.find("Content-Length: ");
      if (end != std::string::npos) wanted = end + 4 + std::stoul(text.substr(length + 16));
    }
    return text;
  }

  void hear(const std::string& body) {
    const auto now = std::chrono::system_clock::now();
    for (const auto& one : nlohmann::json::parse(body)) {
      const std::string ends = one["endsAt"];
      const bool fires = ends > "2000";  // of these tests' times
      heard_[one["labels"]["alertname"]] = fires;
      last_value_ = one["annotations"]["value"];
      EXPECT_EQ(one["startsAt"], "1970-01-01T00:16:40.000Z");
      EXPECT_TRUE(!fires || ends > fmt::format("{:%Y-%m-%dT%H:%M:%S}", fmt::gmtime(now))) << ends;
    }
  }

  UniqueFd listener_;
  uint16_t port_ = 0;
  mutable std::mutex mutex_;
  std::string answer_ = kOk;
  std::string disliked_;
  std::map<std::string, bool> heard_;
  std::string last_value_;
  std::string first_line_;
  std::vector<UniqueFd> silent_;
  std::atomic<int> requests_{0};
  std::atomic<bool> stop_{false};
  std::thread thread_;
};

AlertmanagerOptions options_for(const Receiver& receiver) {
  return {.url = receiver.url(),
          .generator_url = {},
          .timeout_s = 0.2,
          .limits = {.resend_ms = 50, .retry_ms_min = 10, .retry_ms_max = 40}};
}

using Heard = std::map<std::string, bool>;

TEST(Alertmanager, HearsWhatFiresAgainAndAgainAndItsEnd) {
  Receiver receiver;
  receiver.listen();
  AlertmanagerSink sink(options_for(receiver));
  sink.put(alarm(1));
  EXPECT_TRUE(eventually([&] { return receiver.requests() >= 3; })) << "said again";
  EXPECT_EQ(receiver.heard(), (Heard{{"a1", true}}));
  EXPECT_EQ(receiver.first_line(), "POST /api/v2/alerts HTTP/1.1");
  sink.put(over(alarm(1)));
  EXPECT_TRUE(eventually([&] { return receiver.heard() == Heard{{"a1", false}}; }));
  EXPECT_TRUE(eventually([&] { return sink.state().unsaid == 0; }));
  const int requests = receiver.requests();
  std::this_thread::sleep_for(milliseconds(150));  // three times as long as until it was said again
  EXPECT_EQ(receiver.requests(), requests) << "nothing more to say";
}

TEST(Alertmanager, HearsTheLatestFigureWhenItIsToldAgain) {
  Receiver receiver;
  receiver.listen();
  AlertmanagerOptions options = options_for(receiver);
  options.limits.resend_ms = 500;
  AlertmanagerSink sink(options);
  sink.put(alarm(1));
  EXPECT_TRUE(eventually([&] { return receiver.last_value() == "0"; }));
  for (int i = 1; i <= 100; ++i) sink.refresh({{1, {static_cast<double>(i), 100}}});
  EXPECT_TRUE(eventually([&] { return sink.state().posts == 1; }));
  EXPECT_EQ(receiver.requests(), 1) << "no news";
  EXPECT_TRUE(eventually([&] { return receiver.last_value() == "100"; }));
  EXPECT_EQ(receiver.requests(), 2);
}

class UnwellReceiver : public testing::TestWithParam<const char*> {};

// Whatever it answers: put() is at once, and as soon as it is well it has heard everything.
TEST_P(UnwellReceiver, LosesNothingAndBlocksNothing) {
  Receiver receiver;
  receiver.answer(GetParam());
  receiver.listen();
  AlertmanagerSink sink(options_for(receiver));
  const auto start = steady_clock::now();
  for (const uint64_t id : {1U, 2U, 3U}) sink.put(alarm(id));
  EXPECT_LT(steady_clock::now() - start, milliseconds(150));  // and the timeout is 200
  EXPECT_TRUE(eventually([&] { return sink.state().failures >= 2; })) << GetParam();
  EXPECT_NE(sink.state().error, "");
  sink.put(over(alarm(2)));
  EXPECT_EQ(sink.state().unsaid, 3U);
  receiver.answer(Receiver::kOk);
  EXPECT_TRUE(eventually([&] {
    return receiver.heard() == Heard{{"a1", true}, {"a2", false}, {"a3", true}};
  })) << GetParam();
  EXPECT_TRUE(eventually([&] { return sink.state().unsaid == 0; }));
  EXPECT_EQ(sink.state().lost, 0U);
}

INSTANTIATE_TEST_SUITE_P(
    Answers, UnwellReceiver,
    testing::Values(
        "",  // silence: it is slow
        "\x16\x03\x01 \x00 no HTTP at all\r\n\r\n",
        "HTTP/1.1 500 Internal Server Error\r\nContent-Length: 4\r\n\r\noops",
        "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\ncut short"));

TEST(Alertmanager, ThatRefusesOneAlarmHearsTheOthers) {
  Receiver receiver;
  receiver.dislike("\"a5\"");
  AlertmanagerSink sink(options_for(receiver));
  for (uint64_t id = 1; id <= 8; ++id) sink.put(alarm(id));
  receiver.listen();
  EXPECT_TRUE(eventually([&] { return receiver.heard().size() == 7; })) << receiver.heard().size();
  EXPECT_TRUE(eventually([&] { return sink.state().refused == 1; }));
  EXPECT_EQ(sink.state().unsaid, 1U);
  EXPECT_NE(sink.state().error.find("400: bad label"), std::string::npos) << sink.state().error;
  receiver.dislike("");
  EXPECT_TRUE(eventually([&] { return receiver.heard().size() == 8; }));
  EXPECT_TRUE(eventually([&] { return sink.state().refused == 0; }));
}

TEST(Alertmanager, OneThatIsDownHearsEverythingOnceItIsUp) {
  Receiver receiver;  // its connections are refused
  AlertmanagerSink sink(options_for(receiver));
  sink.put(alarm(1));
  sink.put(alarm(2));
  EXPECT_TRUE(eventually([&] { return sink.state().failures >= 2; }));
  sink.put(over(alarm(1)));
  receiver.listen();
  EXPECT_TRUE(eventually([&] { return receiver.heard() == Heard{{"a1", false}, {"a2", true}}; }));
}

TEST(Alertmanager, IsToldTheLastWordsButNotWaitedForWithoutEnd) {
  Receiver receiver;
  receiver.listen();
  {
    AlertmanagerSink sink(options_for(receiver));
    sink.put(alarm(1));
    sink.put(over(alarm(1)));
  }
  EXPECT_EQ(receiver.heard(), (Heard{{"a1", false}}));
  receiver.answer("");  // silent from now on
  AlertmanagerOptions options = options_for(receiver);
  options.timeout_s = 300;
  const auto start = steady_clock::now();
  {
    AlertmanagerSink sink(options);
    const int before = receiver.requests();
    sink.put(alarm(2));
    EXPECT_TRUE(eventually([&] { return receiver.requests() > before; }));
  }
  EXPECT_LT(steady_clock::now() - start, std::chrono::seconds(6));
}

class ExecHookTest : public ::testing::Test {
 public:
  ExecHookTest() { uv_loop_init(&loop_); }
  ~ExecHookTest() override {
    uv_run(&loop_, UV_RUN_DEFAULT);
    EXPECT_EQ(uv_loop_close(&loop_), 0) << "a handle was left open";
  }

 protected:
  ExecHookOptions script(const std::string& body) const {
    return {{"/bin/sh", "-c", body, dir_.file("out")}, 5000};
  }

  uv_loop_t loop_{};
  TempDir dir_;
};

// A shell is what the test has written itself; what an alarm says is never read as one.
TEST_F(ExecHookTest, SaysWhatHappenedInTheEnvironment) {
  ExecHook hook(loop_,
                script("echo \"$EPULSE_STATE $EPULSE_LABEL_ALERTNAME $EPULSE_SUMMARY\" >>$0"));
  Alarm one = alarm(1);
  one.annotations["summary"] = "$(touch /tmp/never); `x`";
  hook.run(one);
  hook.run(over(one));
  hook.finish();
  EXPECT_EQ(read_text(dir_.file("out")),
            "firing a1 $(touch /tmp/never); `x`\nresolved a1 $(touch /tmp/never); `x`\n");
  EXPECT_EQ(hook.runs(), 2U);
  EXPECT_EQ(hook.failures(), 0U);
}

TEST_F(ExecHookTest, WhatCannotRunOrFailsIsCounted) {
  ExecHook missing(loop_, {{dir_.file("none")}, 5000});
  missing.run(alarm(1));
  missing.run(alarm(2));
  missing.finish();
  EXPECT_EQ(missing.failures(), 2U);
  ExecHook failing(loop_, script("exit 3"));
  failing.run(alarm(1));
  failing.finish();
  EXPECT_EQ(failing.failures(), 1U);
}

TEST_F(ExecHookTest, WhatHangsIsKilledWithItsChildren) {
  ExecHookOptions options = script("sleep 100 & echo $! >$0; wait");
  options.timeout_ms = 200;
  ExecHook hook(loop_, options);
  hook.run(alarm(1));
  hook.run(alarm(2));  // waits for it, and comes next
  hook.run(alarm(3));
  const auto start = steady_clock::now();
  hook.finish();
  EXPECT_LT(steady_clock::now() - start, std::chrono::seconds(3));
  EXPECT_EQ(hook.failures() + hook.dropped(), 3U) << "the end waits for no more than two times";
  EXPECT_GE(hook.dropped(), 1U);
  const pid_t grandchild = std::stoi(read_text(dir_.file("out")));
  EXPECT_TRUE(eventually([&] { return !actuate::read_thread_stat(grandchild, grandchild); }));
}

TEST_F(ExecHookTest, TooManyAreCountedNotKept) {
  ExecHook hook(loop_, script("exit 0"));
  for (uint64_t id = 1; id <= 300; ++id) hook.run(alarm(id));
  EXPECT_EQ(hook.dropped(), 300U - 256 - 1);
  hook.finish();
  EXPECT_EQ(hook.runs(), 257U);
}

}  // namespace
}  // namespace epulse::notify
