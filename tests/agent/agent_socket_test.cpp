// epulsed's socket with a loop of its own: what it answers, and to whom, whatever they send.
#include "agent/control/agent_socket.hpp"

#include <fmt/format.h>
#include <grp.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <nlohmann/json.hpp>
#include <thread>

#include "agent/control/history.hpp"
#include "agent/control/state_dir.hpp"
#include "common/line_client.hpp"
#include "tests/agent/child.hpp"
#include "tests/agent/temp_dir.hpp"

namespace epulse::control {
namespace {

using nlohmann::json;
using std::chrono::steady_clock;

std::string refusal_of(const std::string& line) {
  const auto parsed = parse_request(line);
  const auto* const refusal = std::get_if<Refusal>(&parsed);
  return refusal == nullptr ? "" : refusal->why;
}

TEST(Protocol, ReadsWhatItWrites) {
  const auto parsed = parse_request(Request{"undo", true}.to_line());
  const auto* const request = std::get_if<Request>(&parsed);
  ASSERT_NE(request, nullptr);
  EXPECT_EQ(request->name, "undo");
  EXPECT_TRUE(request->dry_run);
}

TEST(Protocol, RefusesEverythingElseAndSaysWhatIsRight) {
  EXPECT_NE(refusal_of("").find("no object of JSON"), std::string::npos);
  EXPECT_NE(refusal_of("status"), "");
  EXPECT_NE(refusal_of("[]"), "");
  EXPECT_NE(refusal_of(std::string(4000, '[')), "") << "deep, and never closed";
  EXPECT_NE(refusal_of("\xff\xfe\x01"), "");
  EXPECT_EQ(refusal_of(R"({"request":"status"})"), "this epulsed speaks version 1");
  EXPECT_EQ(refusal_of(R"({"version":2,"request":"status"})"), "this epulsed speaks version 1");
  EXPECT_EQ(refusal_of(R"({"version":1,"request":"reboot"})"),
            "unknown request; there are status, advise, diff, history, undo");
  EXPECT_NE(refusal_of(R"({"version":1,"request":7})"), "");
  EXPECT_EQ(refusal_of(R"({"version":1,"request":"undo","dry_run":1})"),
            "dry_run is true or false");
  EXPECT_EQ(refusal_of(R"({"version":1,"request":"undo","dryrun":true})"),
            "unknown key dryrun; there are version, request, dry_run");
}

TEST(Protocol, SaysOfAnAlarmHowSevereItIsAndHowBad) {
  const alerts::Alarm alarm{.id = 1,
                            .labels = {{"alertname", "X"}, {"severity", "critical"}},
                            .annotations = {{"summary", "ALERT"}},
                            .reading = {2.5, 7},
                            .starts_unix_ms = 1000};
  const json said = alarms_json({alarm});
  ASSERT_EQ(said.size(), 1U);
  EXPECT_EQ(said[0]["severity"], "critical");
  EXPECT_EQ(said[0]["value"], 2.5);
  EXPECT_EQ(said[0]["worst"], 7);
  EXPECT_EQ(said[0]["annotations"]["value"], "2.5");
  EXPECT_EQ(said[0]["since"], "1970-01-01T00:00:01.000Z");
  EXPECT_EQ(said[0]["annotations"]["summary"], "ALERT");
}

// A socket whose loop runs in a thread of its own; `pause` makes the loop slow.
class AgentSocketTest : public ::testing::Test {
 public:
  AgentSocketTest() {
    uv_loop_init(&loop_);
    uv_async_init(&loop_, &stop_, [](uv_async_t* stop) { uv_stop(stop->loop); });
    LineSocketOptions options;
    options.path = path_;
    options.owner = "epulsed";
    options.remedy = "use another";
    options.line_bytes_max = kRequestBytesMax;
    socket_ = std::make_unique<AgentSocket>(loop_, options, [this](const Request& request) {
      EXPECT_EQ(std::this_thread::get_id(), thread_.get_id()) << "not the loop's thread";
      ++handled_;
      if (request.name == "history") return large_;
      return to_line({{"did", request.name}});
    });
    thread_ = std::thread([this] { uv_run(&loop_, UV_RUN_DEFAULT); });
  }
  ~AgentSocketTest() override {
    uv_async_send(&stop_);
    thread_.join();
    socket_->close();
    uv_walk(
        &loop_, [](uv_handle_t* handle, void*) { uv_close(handle, nullptr); }, nullptr);
    uv_run(&loop_, UV_RUN_DEFAULT);
    EXPECT_EQ(uv_loop_close(&loop_), 0);
  }

 protected:
  UniqueFd connect_to() const {
    UniqueFd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path_.copy(address.sun_path, sizeof address.sun_path - 1);
    EXPECT_EQ(connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    return fd;
  }
  std::string ask(const std::string& line) const { return ask_line(path_, line, 10).value_or(""); }
  std::string status() const { return ask(Request{"status"}.to_line()); }

  TempDir dir_;
  std::string path_ = dir_.file("epulsed-1.sock");
  uv_loop_t loop_{};
  uv_async_t stop_{};
  std::atomic<int> handled_{0};
  std::string large_;  // the answer to "history"
  std::unique_ptr<AgentSocket> socket_;
  std::thread thread_;
};

TEST_F(AgentSocketTest, AnswersInTheLoopsThread) {
  EXPECT_EQ(status(), R"({"did":"status","version":1})");
  EXPECT_EQ(handled_, 1);
}

// A path may be taken over by another process, as in a hot restart.
TEST_F(AgentSocketTest, WhoListensMayHaveToBeACertainProcess) {
  const std::string request = Request{"status"}.to_line();
  EXPECT_TRUE(ask_line(path_, request, 10, getpid()));
  try {
    ask_line(path_, request, 10, getppid());
    ADD_FAILURE() << "it belongs to somebody else";
  } catch (const std::runtime_error& error) {
    EXPECT_NE(std::string(error.what()).find(fmt::format("belongs to process {}", getpid())),
              std::string::npos)
        << error.what();
  }
  EXPECT_EQ(handled_, 1);
}

TEST_F(AgentSocketTest, GarbageIsAnsweredAndReachesNobody) {
  EXPECT_NE(ask("\x01\x02 garbage").find("no object of JSON"), std::string::npos);
  EXPECT_NE(ask(std::string(100'000, 'x')).find("more than 4096 bytes"), std::string::npos);
  EXPECT_EQ(handled_, 0);
  EXPECT_NE(status(), "");
}

TEST_F(AgentSocketTest, SlowSilentAndFloodingClientsHarmNobody) {
  const UniqueFd silent = connect_to();
  const UniqueFd slow = connect_to();
  send(slow.get(), "{\"ver", 5, MSG_NOSIGNAL);
  const UniqueFd flood = connect_to();
  const std::string line = Request{"status"}.to_line() + "\n";
  for (int i = 0; i < 2000; ++i)
    send(flood.get(), line.data(), line.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
  const auto start = steady_clock::now();
  EXPECT_NE(status(), "");
  EXPECT_LT(steady_clock::now() - start, std::chrono::seconds(3));
}

// Who sends a byte now and then, or reads one, keeps a place no longer than who does nothing.
TEST(LineSocket, DrippingClientsLoseTheirPlace) {
  const TempDir dir;
  LineSocketOptions options;
  options.path = dir.file("s");
  options.line_bytes_max = 1U << 20;
  options.patience = std::chrono::milliseconds(200);
  const std::string large(4U << 20, 'x');
  const LineSocket server(options, [&](std::string_view) { return std::string(large); });
  const auto connected = [&] {
    UniqueFd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    options.path.copy(address.sun_path, sizeof address.sun_path - 1);
    EXPECT_EQ(connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    return fd;
  };
  const UniqueFd sender = connected();
  EXPECT_TRUE(eventually([&] { return send(sender.get(), "x", 1, MSG_NOSIGNAL) < 0; }));
  const UniqueFd reader = connected();
  ASSERT_EQ(send(reader.get(), "a\n", 2, MSG_NOSIGNAL), 2);
  size_t got = 0;
  std::vector<char> chunk(4U << 10);
  EXPECT_TRUE(eventually([&] {
    const ssize_t n = recv(reader.get(), chunk.data(), chunk.size(), MSG_DONTWAIT);
    got += n > 0 ? static_cast<size_t>(n) : 0;
    return n == 0 || (n < 0 && errno != EAGAIN) || got > large.size();
  }));
  EXPECT_GT(got, 0U);
  EXPECT_LT(got, large.size());
}

// Much more than the buffer of a Unix socket holds (212,992 bytes), also beside one who does not
// read his; whoever reads gets all of it.
TEST_F(AgentSocketTest, LargeAnswersReachWhoReadsThem) {
  std::vector<Event> events;
  events.reserve(1000);
  for (int i = 0; i < 1000; ++i) {
    events.push_back(
        {1'700'000'000'000 + i, "advice", std::string(2000, 'x'), "taskset -pc 1 4711", "x[1]"});
  }
  large_ = to_line({{"history", history_json(events)}});
  ASSERT_GT(large_.size(), 2'000'000U);
  const UniqueFd lazy = connect_to();
  const std::string line = Request{"history"}.to_line() + "\n";
  for (int i = 0; i < 5; ++i) send(lazy.get(), line.data(), line.size(), MSG_NOSIGNAL);
  for (int i = 0; i < 3; ++i) {
    const auto answer = ask_line(path_, Request{"history"}.to_line(), 10);
    ASSERT_TRUE(answer);
    EXPECT_EQ(json::parse(*answer)["history"].size(), 1000U);
  }
  // Now he reads: five answers, whole.
  size_t lines = 0;
  size_t bytes = 0;
  std::vector<char> chunk(1 << 20);
  while (lines < 5) {
    const ssize_t got = recv(lazy.get(), chunk.data(), chunk.size(), 0);
    ASSERT_GT(got, 0) << "cut off after " << bytes;
    bytes += static_cast<size_t>(got);
    lines += static_cast<size_t>(std::count(chunk.begin(), chunk.begin() + got, '\n'));
  }
  EXPECT_EQ(bytes, 5 * (large_.size() + 1));
}

TEST_F(AgentSocketTest, AnAnswerBeyondAllBoundsIsAnError) {
  large_ = std::string(9U << 20, 'x');
  const auto answer = ask_line(path_, Request{"history"}.to_line(), 10);
  ASSERT_TRUE(answer);
  EXPECT_NE(answer->find("\"error\":\"an answer of 9437184 bytes, more than 8388608\""),
            std::string::npos)
      << *answer;
}

TEST_F(AgentSocketTest, IsForItsOwnUserAlone) {
  struct stat file {};
  ASSERT_EQ(stat(path_.c_str(), &file), 0);
  EXPECT_EQ(file.st_mode & 07777U, 0600U);
}

// A stranger and a member of the group, each as a process that has given up being root.
class GroupSocket : public ::testing::Test {
 protected:
  static constexpr gid_t kGroup = 54321;

  std::string asked_as(uid_t user, gid_t group) const {
    int out[2] = {-1, -1};
    EXPECT_EQ(pipe(out), 0);
    const pid_t child = fork();
    if (child == 0) {
      std::string answer = "refused";
      if (setgroups(0, nullptr) != 0 || setgid(group) != 0 || setuid(user) != 0) _exit(1);
      try {
        answer = ask_line(path_, "x", 5).value_or("nobody");
      } catch (const std::exception& error) {
        answer = error.what();
      }
      _exit(write(out[1], answer.data(), answer.size()) < 0 ? 1 : 0);
    }
    close(out[1]);
    std::array<char, 512> text{};
    const ssize_t got = read(out[0], text.data(), text.size());
    close(out[0]);
    waitpid(child, nullptr, 0);
    return {text.data(), got > 0 ? static_cast<size_t>(got) : 0};
  }

  TempDir dir_;
  std::string path_ = dir_.file("s");
};

TEST_F(GroupSocket, LetsItsMembersTalkAndNobodyElse) {
  if (geteuid() != 0) GTEST_SKIP() << "needs root, to become somebody else";
  ASSERT_EQ(chmod(dir_.path().c_str(), 0755), 0);
  LineSocketOptions options;
  options.path = path_;
  options.owner = "epulsed";
  options.remedy = "use another";
  options.group = kGroup;
  const LineSocket socket(options, [](std::string_view) { return "welcome"; });
  EXPECT_EQ(asked_as(12345, kGroup), "welcome");
  EXPECT_NE(asked_as(12345, 12345).find("Permission denied"), std::string::npos);
  // Where the file would let them in, the credentials do not.
  ASSERT_EQ(chmod(path_.c_str(), 0666), 0);
  EXPECT_NE(asked_as(12345, 12345).find("only root"), std::string::npos);
  EXPECT_EQ(asked_as(0, 0), "welcome");
}

TEST(StateDir, NamesAGroupThatIsNotThere) {
  const TempDir dir;
  EXPECT_EQ(prepare_state_dir(dir.file("state"), ""), std::nullopt);
  EXPECT_NE(error_of([&] {
              prepare_state_dir(dir.file("state"), "no-such-group");
            }).find("there is no group no-such-group"),
            std::string::npos);
  ASSERT_EQ(chmod(dir.file("state").c_str(), 0777), 0);
  EXPECT_NE(error_of([&] { prepare_state_dir(dir.file("state"), ""); }).find("written by others"),
            std::string::npos);
}

TEST(History, KeepsTheLastAndSurvivesATornLine) {
  const TempDir dir;
  EXPECT_TRUE(History::read(dir.path(), 10).empty());
  History history(dir.path(), "server[7]");
  for (int i = 0; i < 5; ++i) history.add("changed", fmt::format("change {}\xff", i), "taskset");
  EXPECT_EQ(history.error(), "");
  write_text(dir.file("history"), read_text(dir.file("history")) + "{\"unix_ms\":12,\"ki");
  const auto events = History::read(dir.path(), 3);
  ASSERT_EQ(events.size(), 3U);
  EXPECT_EQ(events[2].text, "change 4\xef\xbf\xbd");
  EXPECT_EQ(events[2].by_hand, "taskset");
  EXPECT_EQ(events[2].target, "server[7]");
  EXPECT_EQ(history_json(events)[0]["text"], "change 2\xef\xbf\xbd");
}

TEST(History, StaysBounded) {
  const TempDir dir;
  History history(dir.path());
  const std::string text(10'000, 'x');
  for (int i = 0; i < 250; ++i) history.add("alarm", text);
  EXPECT_LT(read_text(dir.file("history")).size(), (1U << 20) + 20'000);
  EXPECT_LT(read_text(dir.file("history.1")).size(), (1U << 20) + 20'000);
  EXPECT_EQ(History::read(dir.path(), 120).size(), 120U) << "over both files";
}

TEST(History, ThatCannotBeWrittenSaysWhy) {
  History history("/nonexistent");
  history.add("alarm", "x");
  EXPECT_EQ(history.error(), "No such file or directory");
}

TEST(Changes, AreShownWithTheirUndo) {
  actuate::SocketBuffer change{.pid = 47,
                               .start_ticks = 1,
                               .fd = 9,
                               .inode = 5,
                               .old_bytes = 131072,
                               .old_lock = 0,
                               .new_bytes = 262144};
  const json all = changes_json({{1, change, 0, "because"}, {2, change, 60, "again"}});
  ASSERT_EQ(all.size(), 2U);
  EXPECT_EQ(all[0]["seq"], 2) << "the latest first";
  EXPECT_EQ(all[0]["at"], "1970-01-01T00:01:00.000Z");
  EXPECT_NE(all[0]["change"].get<std::string>().find("131072 -> 262144"), std::string::npos);
  EXPECT_NE(all[0]["undo_by_hand"].get<std::string>().find("65536"), std::string::npos);
}

}  // namespace
}  // namespace epulse::control
