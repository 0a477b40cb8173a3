// `epulse top` on a terminal: tmux is the terminal, and the user.
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <sstream>
#include <thread>
#include <vector>

#include "agent/kernel/facts.hpp"
#include "tests/agent/temp_dir.hpp"
#include "tests/integration/program.hpp"

namespace epulse::test {
namespace {

constexpr int kThreads = 500;

// A process whose threads, "worker-0" and so on, each wait on an epoll instance of their own; the
// first, "busy", has events. Our calls are seen by all of them through shared memory.
class Target {
 public:
  explicit Target(int threads)
      : shared_(static_cast<Shared*>(mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE,
                                          MAP_SHARED | MAP_ANONYMOUS, -1, 0))) {
    new (shared_) Shared;
    shared_->wanted = threads;
    pid_ = fork();
    if (pid_ == 0) run();
  }
  ~Target() {
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
    munmap(shared_, sizeof(Shared));
  }
  Target(const Target&) = delete;
  Target& operator=(const Target&) = delete;

  pid_t pid() const { return pid_; }
  bool started() const {
    return eventually([&] { return shared_->running == shared_->wanted; });
  }
  // Returns when it waits, too.
  bool add_thread() {
    ++shared_->wanted;
    return started();
  }
  // Returns when its first thread has waited so many times more.
  bool goes_on(uint64_t waits) const {
    const uint64_t until = shared_->waits + waits;
    return eventually([&] { return shared_->waits >= until; });
  }
  void end() const { kill(pid_, SIGTERM); }

 private:
  struct Shared {
    std::atomic<int> wanted;
    std::atomic<int> running;
    std::atomic<uint64_t> waits;  // of the first thread
  };
  static constexpr int kWaitMs = 50;

  [[noreturn]] void run() {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (;; std::this_thread::sleep_for(std::chrono::milliseconds(2))) {
      for (; started_ < shared_->wanted; ++started_) {
        std::thread([this, number = started_] { work(number); }).detach();
      }
    }
  }

  void work(int number) {
    const std::string name = number == 0 ? "busy" : fmt::format("worker-{}", number);
    prctl(PR_SET_NAME, name.c_str());
    const int epoll = epoll_create1(EPOLL_CLOEXEC);
    const int always = eventfd(1, EFD_CLOEXEC);
    epoll_event event{};
    event.events = EPOLLIN;
    if (number == 0) epoll_ctl(epoll, EPOLL_CTL_ADD, always, &event);
    ++shared_->running;
    for (;;) {
      epoll_wait(epoll, &event, 1, kWaitMs);
      if (number != 0) continue;
      ++shared_->waits;
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
  }

  Shared* shared_;
  pid_t pid_ = 0;
  int started_ = 0;
};

// A terminal in which a command runs; "status N" is on it when that has ended.
class Tmux {
 public:
  // On a socket of its own; the server is no daemon (-D) and ends with the object, clients start
  // none (-N).
  explicit Tmux(const std::string& command)
      : server_({"env", "-u", "TMUX", "tmux", "-D", "-S", socket(), "-f", "/dev/null"}) {
    EXPECT_TRUE(eventually([&] {
      return run({"new-session", "-d", "-x", "80", "-y", "24",
                  command + "; echo status $?; exec sleep 60"})
                 .status == 0;
    })) << server_.err();
  }

  void type(const std::string& key) const { EXPECT_EQ(run({"send-keys", key}).status, 0) << key; }
  void resize(int columns, int rows) const {
    const auto said =
        run({"resize-window", "-x", std::to_string(columns), "-y", std::to_string(rows)});
    EXPECT_EQ(said.status, 0) << said.text;
  }
  // What the user sees; a line that had to be broken is one.
  std::string screen() const { return run({"capture-pane", "-p", "-J"}).text; }
  std::string screen_with_colours() const { return run({"capture-pane", "-p", "-e"}).text; }

  std::vector<std::string> lines() const {
    std::vector<std::string> lines;
    std::istringstream text(screen());
    for (std::string line; std::getline(text, line);) lines.push_back(line);
    return lines;
  }
  bool shows(const std::string& part) const {
    return eventually([&] { return screen().find(part) != std::string::npos; }, kPatienceS);
  }
  bool last_line_shows(const std::string& part, size_t rows) const {
    return eventually(
        [&] {
          const auto all = lines();
          return all.size() == rows && all.back().find(part) != std::string::npos;
        },
        kPatienceS);
  }

 private:
  static constexpr double kPatienceS = 10;
  struct Said {
    int status;
    std::string text;
  };

  std::string socket() const { return folder_.file("socket"); }
  Said run(std::vector<std::string> arguments) const {
    arguments.insert(arguments.begin(), {"tmux", "-N", "-S", socket()});
    Program client(std::move(arguments));
    const int status = client.wait();
    return {status, client.out() + client.err()};
  }

  TempDir folder_;
  Program server_;
};

std::string top_command(const Target& target) {
  return fmt::format("{} top -p {} 0.2", EPULSE, target.pid());
}

class TopOnTerminal : public testing::Test {
 protected:
  void SetUp() override {
    if (Program({"tmux", "-V"}).wait() != 0) {
      GTEST_SKIP() << "tmux is not installed; tools/setup test does it";
    }
    if (kernel::detect().bpf_errno != 0) GTEST_SKIP() << "BPF is refused here";
  }
};

TEST_F(TopOnTerminal, KeysSortFilterFreezeHelpAndQuit) {
  Target target(7);
  ASSERT_TRUE(target.started());
  const Tmux tmux(top_command(target));
  ASSERT_TRUE(tmux.last_line_shows("1-7 of 7 | by ready >dlv | h help, q quit", 24))
      << tmux.screen();
  EXPECT_TRUE(tmux.shows("WORKER"));

  tmux.type("h");
  EXPECT_TRUE(tmux.shows("sort by another column")) << tmux.screen();
  tmux.type("x");
  EXPECT_TRUE(tmux.shows("1-7 of 7")) << tmux.screen();

  tmux.type("Right");
  EXPECT_TRUE(tmux.shows("| by handler p99")) << tmux.screen();
  // And left, to the names.
  while (tmux.screen().find("| by WORKER") == std::string::npos) {
    const std::string before = tmux.lines().back();
    tmux.type("<");
    ASSERT_TRUE(eventually([&] { return tmux.lines().back() != before; })) << tmux.screen();
  }
  const auto first_row = [&] {
    for (const std::string& line : tmux.lines()) {
      if (!line.starts_with('#') && line.find('[') < 18) return line;
    }
    return std::string();
  };
  EXPECT_TRUE(eventually([&] { return first_row().starts_with("busy["); })) << tmux.screen();
  tmux.type("r");
  EXPECT_TRUE(tmux.shows("by WORKER, reversed")) << tmux.screen();
  EXPECT_TRUE(eventually([&] { return first_row().starts_with("worker-6["); })) << tmux.screen();

  tmux.type("/");
  tmux.type("WORKER-3");
  tmux.type("Enter");
  EXPECT_TRUE(tmux.shows("1-1 of 1 | by WORKER, reversed | only \"WORKER-3\"")) << tmux.screen();
  EXPECT_TRUE(first_row().starts_with("worker-3[")) << tmux.screen();
  tmux.type("Escape");
  EXPECT_TRUE(tmux.shows("1-7 of 7")) << tmux.screen();

  tmux.type("Space");
  ASSERT_TRUE(tmux.shows("FROZEN")) << tmux.screen();
  const std::string frozen = tmux.screen();
  ASSERT_TRUE(target.add_thread());
  ASSERT_TRUE(target.goes_on(120));  // three intervals and more
  EXPECT_EQ(tmux.screen(), frozen);
  tmux.type("Space");
  EXPECT_TRUE(tmux.shows("1-8 of 8")) << tmux.screen();

  tmux.type("q");
  EXPECT_TRUE(tmux.shows("status 0")) << tmux.screen();
  EXPECT_TRUE(tmux.shows("8 workers, the whole run of")) << tmux.screen();
}

TEST_F(TopOnTerminal, FollowsTheTerminalsSize) {
  Target target(40);
  ASSERT_TRUE(target.started());
  const Tmux tmux(top_command(target));
  ASSERT_TRUE(tmux.last_line_shows("of 40 | by", 24)) << tmux.screen();
  EXPECT_EQ(tmux.screen().find("empty"), std::string::npos) << tmux.screen();
  tmux.resize(200, 50);
  EXPECT_TRUE(tmux.last_line_shows("1-40 of 40", 50)) << tmux.screen();
  EXPECT_TRUE(tmux.shows("empty")) << "there is room for all columns\n" << tmux.screen();
  tmux.resize(80, 24);
  EXPECT_TRUE(tmux.last_line_shows("of 40 | by", 24)) << tmux.screen();
  tmux.resize(30, 6);
  EXPECT_TRUE(tmux.last_line_shows(" of 40 | by", 6)) << tmux.screen();
  for (const auto& [columns, rows] : {std::pair{7, 2}, {1, 1}, {300, 3}}) {
    tmux.resize(columns, rows);
    ASSERT_TRUE(target.goes_on(60));  // it has drawn at that size
  }
  tmux.resize(80, 24);
  EXPECT_TRUE(tmux.last_line_shows("of 40 | by", 24)) << tmux.screen();
}

TEST_F(TopOnTerminal, EndsWithItsTarget) {
  Target target(3);
  ASSERT_TRUE(target.started());
  const Tmux tmux(top_command(target));
  ASSERT_TRUE(tmux.shows("1-3 of 3")) << tmux.screen();
  target.end();
  EXPECT_TRUE(tmux.shows("# the process ended")) << tmux.screen();
  EXPECT_TRUE(tmux.shows("status 0")) << tmux.screen();
  EXPECT_TRUE(tmux.shows("the whole run of")) << tmux.screen();
}

TEST_F(TopOnTerminal, ShowsFiveHundredThreads) {
  Target target(kThreads);
  ASSERT_TRUE(target.started());
  const Tmux tmux(top_command(target));
  ASSERT_TRUE(tmux.last_line_shows("of 500 | by", 24)) << tmux.screen();
  tmux.type("NPage");
  EXPECT_TRUE(eventually([&] { return !tmux.lines().back().starts_with("1-"); }));
  tmux.type("End");
  EXPECT_TRUE(tmux.last_line_shows("-500 of 500", 24)) << tmux.screen();
  tmux.type("Home");
  EXPECT_TRUE(eventually([&] { return tmux.lines().back().starts_with("1-"); }));
  tmux.type("/");
  tmux.type("worker-499");
  tmux.type("Enter");
  EXPECT_TRUE(tmux.last_line_shows("1-1 of 1", 24)) << tmux.screen();
  tmux.type("q");
  EXPECT_TRUE(tmux.shows("status 0")) << tmux.screen();
}

TEST_F(TopOnTerminal, HasNoColoursForWhoWantsNone) {
  Target target(2);
  ASSERT_TRUE(target.started());
  const Tmux coloured(top_command(target));
  const Tmux plain("NO_COLOR=1 " + top_command(target));
  ASSERT_TRUE(coloured.shows("1-2 of 2") && plain.shows("1-2 of 2")) << plain.screen();
  EXPECT_NE(coloured.screen_with_colours().find("\033["), std::string::npos);
  EXPECT_EQ(plain.screen_with_colours().find("\033["), std::string::npos);
}

}  // namespace
}  // namespace epulse::test
