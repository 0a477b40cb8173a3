// One load made by several processes, and from several addresses.
#include <gtest/gtest.h>
#include <signal.h>

#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "tests/agent/temp_dir.hpp"
#include "tests/load/load_child.hpp"
#include "tests/load/server_counts.hpp"
#include "tests/server/child.hpp"

namespace epulse::testing {
namespace {

TEST(LoadProcesses, TheirCountsAddUp) {
  ServerChild server;
  Child load(load_command(
      server.url(), {"-c", "11", "--processes", "3", "-t", "2", "-r", "1013", "-d", "0.5", "-j"}));
  ASSERT_EQ(load.wait(), 0) << load.out() << load.err();
  EXPECT_EQ(number(load.out(), "opened"), 11);
  EXPECT_EQ(number(load.out(), "sent"), 507);
  EXPECT_EQ(number(load.out(), "received"), 507);
  EXPECT_EQ(number(load.out(), "processes"), 3);
  EXPECT_EQ(messages_in(server.port()), 507U);
  std::size_t threads = 0;
  for (std::size_t at = 0; (at = load.out().find("cpu_share", at)) != std::string::npos; ++at) {
    ++threads;
  }
  EXPECT_EQ(threads, 6U) << load.out();
}

TEST(LoadProcesses, ABroadcastReachesTheSubscribersOfAll) {
  ServerChild server;
  Child load(load_command(server.url("/topic/x"),
                          {"-c", "10", "--processes", "2", "--broadcast", "--publishers", "3",
                           "--window", "4", "-d", "0.3", "-j"}));
  ASSERT_EQ(load.wait(), 0) << load.out() << load.err();
  EXPECT_GT(number(load.out(), "sent"), 10);
  EXPECT_EQ(number(load.out(), "received"), 10 * number(load.out(), "sent")) << load.out();
}

// The point of it all: more connections than one process may have open files.
TEST(LoadProcesses, HaveMoreConnectionsThanOneMayHaveFiles) {
  ServerChild server;
  const std::vector<std::string> options = {"-c", "300", "-r", "600", "-d", "0.5", "-j"};
  std::vector<std::string> several = options;
  several.insert(several.end(), {"--processes", "3"});
  // A hard limit, which cannot be taken back: only for the load.
  const auto limited = [&](const std::vector<std::string>& more) {
    std::vector<std::string> command = {"/bin/sh", "-c", "ulimit -n 200 && exec \"$@\"", "sh"};
    const std::vector<std::string> load = load_command(server.url(), more);
    command.insert(command.end(), load.begin(), load.end());
    return command;
  };
  Child one(limited(options));
  EXPECT_EQ(one.wait(), 2);
  EXPECT_NE(one.err().find("--processes"), std::string::npos) << one.err();
  Child three(limited(several));
  ASSERT_EQ(three.wait(), 0) << three.err();
  EXPECT_EQ(number(three.out(), "opened"), 300);
  EXPECT_EQ(number(three.out(), "received"), 300);
}

std::vector<pid_t> children_of(pid_t pid) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/task/" + std::to_string(pid) + "/children");
  std::vector<pid_t> pids;
  for (pid_t child = 0; file >> child;) pids.push_back(child);
  return pids;
}

TEST(LoadProcesses, OneThatIsKilledEndsTheLoadAndIsNamed) {
  ServerChild server;
  Child load(load_command(server.url(), {"-c", "4", "--processes", "2", "-d", "60", "-r", "10"}));
  ASSERT_NE(load.read_line().find("msg/s"), std::string::npos);
  const std::vector<pid_t> pids = children_of(load.pid());
  ASSERT_EQ(pids.size(), 2U);
  kill(pids[0], SIGKILL);
  EXPECT_EQ(load.wait(), 2);
  EXPECT_NE(load.err().find("(pid " + std::to_string(pids[0]) + ") ended early, by signal 9"),
            std::string::npos)
      << load.err();
  EXPECT_NE(kill(pids[1], 0), 0);  // nor does the other go on
}

// Its siblings wait for it then, and main for them.
TEST(LoadProcesses, OneThatIsKilledAfterTheEndIsNamedToo) {
  ServerChild server;
  Child load(
      load_command(server.url(), {"-c", "4", "--processes", "2", "-d", "1", "--progress", "0.5"}));
  ASSERT_NE(load.read_line().find("msg/s"), std::string::npos);
  server.child().signal(SIGSTOP);  // all wait for answers for two seconds more
  const std::vector<pid_t> pids = children_of(load.pid());
  ASSERT_EQ(pids.size(), 2U);
  ASSERT_NE(load.read_line().find("msg/s"), std::string::npos);
  kill(pids[1], SIGKILL);
  EXPECT_EQ(load.wait(), 2);
  server.child().signal(SIGCONT);
  EXPECT_NE(load.err().find("(pid " + std::to_string(pids[1]) + ") ended early, by signal 9"),
            std::string::npos)
      << load.err();
}

TEST(LoadProcesses, WhenNoneCanConnectThereIsOneReason) {
  std::string url;
  { url = Listener().url(); }
  Child load(load_command(url, {"-c", "4", "--processes", "2"}));
  EXPECT_EQ(load.wait(), 2);
  EXPECT_NE(load.err().find("cannot connect to"), std::string::npos) << load.err();
  EXPECT_EQ(load.err().find('\n'), load.err().size() - 1) << load.err();
}

TEST(LoadSources, AreUsedInTurn) {
  ServerChild server;
  const TempDir directory;
  const std::string path = directory.file("record");
  Child load(load_command(server.url(), {"-c", "6", "--source", "127.0.0.2,127.0.0.3", "-r", "60",
                                         "-d", "0.2", "-j", "--record", path}));
  ASSERT_EQ(load.wait(), 0) << load.err();
  std::stringstream text;
  text << std::ifstream(path).rdbuf();
  int second = 0;
  int third = 0;
  std::istringstream lines(text.str());
  for (std::string line; std::getline(lines, line);) {
    second += line.find("\"127.0.0.2:") != std::string::npos ? 1 : 0;
    third += line.find("\"127.0.0.3:") != std::string::npos ? 1 : 0;
  }
  EXPECT_EQ(second, 3) << text.str();
  EXPECT_EQ(third, 3) << text.str();
}

TEST(LoadSources, ErrorsSayWhatToDo) {
  ServerChild server;
  Child name(load_command(server.url(), {"--source", "localhost"}));
  EXPECT_EQ(name.wait(), 2);
  EXPECT_NE(name.err().find("cannot connect from 'localhost'"), std::string::npos) << name.err();
  Child foreign(load_command(server.url(), {"-c", "1", "--source", "192.0.2.1"}));  // RFC 5737
  EXPECT_EQ(foreign.wait(), 2);
  EXPECT_NE(foreign.err().find("--source is not of this host"), std::string::npos) << foreign.err();
}

}  // namespace
}  // namespace epulse::testing
