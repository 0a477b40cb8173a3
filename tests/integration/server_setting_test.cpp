// Settings of a real epulse-ws, changed and undone over its control socket.
#include <fmt/format.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <memory>
#include <thread>

#include "agent/actuate/actuator.hpp"
#include "agent/actuate/proc_thread.hpp"
#include "agent/actuate/server_setting.hpp"
#include "agent/error.hpp"
#include "common/line_client.hpp"
#include "tests/integration/scene.hpp"

namespace epulse::test {
namespace {

using actuate::Actuator;
using actuate::Outcome;
using actuate::ServerSetting;
using actuate::UndoResult;

class ServerSettingTest : public ::testing::Test {
 protected:
  void SetUp() override {
    server_ = std::make_unique<Program>(std::vector<std::string>{
        EPULSE_WS, "--listen", "127.0.0.1:0", "--workers", "1", "--epoll-batch", "2", "--linger",
        "20", "--control-socket", socket()});
    ASSERT_TRUE(eventually([&] { return contains(server_->out(), "listening on"); }))
        << server_->err();
  }

  std::string socket() const { return directory_.file("ws.sock"); }
  std::string ask(const std::string& request) const {
    return ask_line(socket(), request, 5).value_or("");
  }
  bool has_batch(int batch) const {
    return contains(ask("get"), fmt::format("\"epoll-batch\":{}}}", batch));
  }
  ServerSetting change(uint64_t from, uint64_t to) const {
    const auto stat = kernel::thread_stat(server_->pid(), server_->pid());
    return {server_->pid(), stat->start_ticks, socket(), "epoll-batch", from, to};
  }

  TempDir directory_;
  std::unique_ptr<Program> server_;
};

// A process that makes the change and undoes it without end, killed after `delay`.
void kill_amid_changes(const std::string& state_dir, const ServerSetting& change,
                       std::chrono::microseconds delay) {
  const pid_t worker = fork();
  ASSERT_GE(worker, 0);
  if (worker == 0) {
    Actuator actuator(state_dir);
    for (;;) actuator.undo(actuator.apply(change, "again and again"));
  }
  std::this_thread::sleep_for(delay);  // not a wait for anything: it is the instant of death
  kill(worker, SIGKILL);
  ASSERT_EQ(waitpid(worker, nullptr, 0), worker);
}

TEST_F(ServerSettingTest, KilledAtAnyInstantIsUndoneByTheNext) {
  for (int round = 0; round < 40; ++round) {
    const TempDir dir;
    kill_amid_changes(dir.path(), change(2, 64), std::chrono::microseconds(211 * round));
    // What a killed one has asked for, the server may still be about to do.
    ask("get");
    Actuator next(dir.path());
    for (const Outcome& outcome : next.recover()) {
      EXPECT_EQ(outcome.result, UndoResult::kRestored) << outcome.text;
    }
    ASSERT_TRUE(has_batch(2)) << round;
  }
}

// Two changes; the administrator goes back to the value between them.
TEST_F(ServerSettingTest, AnAdministratorsValueStaysAlsoWhereItWasOursOnce) {
  Actuator actuator(directory_.file("state"));
  actuator.apply(change(2, 64), "one");
  const uint64_t last = actuator.apply(change(64, 512), "two");
  EXPECT_TRUE(actuator.holds(last));
  ask("set epoll-batch 64");
  EXPECT_FALSE(actuator.holds(last));
  for (const Outcome& outcome : actuator.undo_all()) {
    EXPECT_EQ(outcome.result, UndoResult::kStoodDown) << outcome.text;
  }
  EXPECT_TRUE(has_batch(64));
}

// In a hot restart two processes live, and the path is the successor's already.
TEST_F(ServerSettingTest, TheSuccessorOfAServerIsAnotherTarget) {
  const ServerSetting of_old = change(2, 64);
  server_->signal(SIGUSR2);
  std::string said;
  ASSERT_TRUE(eventually([&] {
    try {
      ask_line(socket(), "get", 5, server_->pid());
      return false;
    } catch (const std::exception& error) {
      said = error.what();
      return contains(said, "belongs to process");
    }
  })) << said
      << server_->err();
  const pid_t successor = std::stoi(said.substr(said.find("process ") + 8));
  EXPECT_NE(successor, server_->pid());
  try {
    prepare(of_old);
    ADD_FAILURE() << "it is not the server that was meant";
  } catch (const Error& error) {
    EXPECT_TRUE(contains(error.what(), "belongs to process")) << error.what();
  }
  kill(successor, SIGTERM);
  // A zombie, until the old server has ended, too.
  EXPECT_TRUE(eventually([&] { return !actuate::read_thread_stat(successor, successor); }));
}

}  // namespace
}  // namespace epulse::test
