// What connections cost another process.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "tests/agent/temp_dir.hpp"
#include "tests/load/fake_server.hpp"
#include "tests/load/load_child.hpp"
#include "tests/server/child.hpp"
#include "tools/load/error.hpp"
#include "tools/load/process_memory.hpp"

namespace epulse::testing {
namespace {

using load::memory_field;
using load::ProcessMemory;
using ::testing::HasSubstr;

// A server that takes a megabyte for each, which is ourselves.
TEST(LoadMemory, IsWhatEachConnectionCosts) {
  constexpr std::size_t kEach = std::size_t{1} << 20U;
  constexpr std::size_t kConnections = 30;
  const Listener listener;
  std::thread server([&] {
    std::vector<std::unique_ptr<FakeConnection>> connections;
    std::vector<std::unique_ptr<std::vector<char>>> memory;
    for (std::size_t k = 0; k < kConnections; ++k) {
      memory.push_back(std::make_unique<std::vector<char>>(kEach, 'x'));
      connections.push_back(std::make_unique<FakeConnection>(listener));
    }
    for (const auto& connection : connections) {
      while (connection->read()) {
      }
    }
  });
  Child load(load_command(listener.url(), {"-c", std::to_string(kConnections), "--idle", "-d",
                                           "0.2", "-j", "--memory-of", std::to_string(getpid())}));
  EXPECT_EQ(load.wait(), 0) << load.out() << load.err();
  server.join();
  const std::string& json = load.out();
  EXPECT_EQ(number(json, "pid"), getpid());
  EXPECT_EQ(number(json.substr(json.find("\"memory\"")), "connections"), kConnections);
  // FakeConnection has a buffer of its own, too; the first megabyte may have come before.
  EXPECT_NEAR(number(json, "bytes_per_connection"), kEach + (1U << 16U), kEach / 8.0) << json;
}

TEST(LoadMemory, InTextToo) {
  ServerChild server;
  const std::string pid = std::to_string(server.child().pid());
  Child load(load_command(server.url(), {"-d", "0.1", "--progress", "0", "--memory-of", pid}));
  ASSERT_EQ(load.wait(), 0) << load.err();
  EXPECT_THAT(load.out(), HasSubstr(" bytes per connection (Pss, process " + pid + ": "));
}

TEST(LoadMemory, OfNoProcessIsAnError) {
  ServerChild server;
  Child gone({"/bin/true"});
  gone.wait();
  const std::string pid = std::to_string(gone.pid());
  Child load(load_command(server.url(), {"--idle", "--memory-of", pid}));
  EXPECT_EQ(load.wait(), 2);
  EXPECT_EQ(load.err(), "epulse-load: cannot tell the memory of process " + pid +
                            ": there is none (any longer); --memory-of wants the pid of the "
                            "server, on this machine and in this pid namespace\n");
  for (const std::vector<std::string>& options : {std::vector<std::string>{"--memory-of", "0"},
                                                  {"--memory-of", "x"},
                                                  {"--idle", "-r", "5"},
                                                  {"--idle", "--broadcast"},
                                                  {"--idle", "--window", "2"},
                                                  {"--idle", "--record", "x"}}) {
    Child usage(load_command(server.url(), options));
    EXPECT_EQ(usage.wait(), 2);
    EXPECT_EQ(std::count(usage.err().begin(), usage.err().end(), '\n'), 1) << usage.err();
  }
}

TEST(ProcessMemory, FieldsOfProc) {
  const std::string text =
      "00400000-7ff0 ---p 00000000 00:00 0  [rollup]\nRss:  884 kB\n"
      "Pss_Anon:  88 kB\nPss:        385 kB\n";
  EXPECT_EQ(memory_field(text, "Pss"), 385U * 1024);
  EXPECT_EQ(memory_field(text, "Rss"), 884U * 1024);
  EXPECT_FALSE(memory_field(text, "Swap"));
  EXPECT_FALSE(memory_field("Pss: many\n", "Pss"));
  EXPECT_FALSE(memory_field("", "Pss"));
}

class FakeProc : public ::testing::Test {
 protected:
  FakeProc() { std::filesystem::create_directory(proc.file("7")); }

  std::string failure() const {
    try {
      const ProcessMemory memory(7, proc.path());
      return "";
    } catch (const load::Error& error) {
      return error.what();
    }
  }

  TempDir proc;
};

TEST_F(FakeProc, ThePssIsPreferred) {
  write_text(proc.file("7/smaps_rollup"), "Pss:  5 kB\n");
  write_text(proc.file("7/status"), "VmRSS:\t  9 kB\n");
  const ProcessMemory memory(7, proc.path());
  EXPECT_EQ(memory.measure(), ProcessMemory::Measure::kPss);
  EXPECT_EQ(memory.bytes(), 5U * 1024);
}

TEST_F(FakeProc, WhereThatMayNotBeReadItIsTheRss) {
  write_text(proc.file("7/status"), "Name:\tx\nVmRSS:\t  9 kB\n");
  const ProcessMemory memory(7, proc.path());
  EXPECT_EQ(memory.measure(), ProcessMemory::Measure::kRss);
  EXPECT_EQ(memory.bytes(), 9U * 1024);
  std::filesystem::remove(proc.file("7/status"));
  EXPECT_THROW(memory.bytes(), load::Error);
}

TEST_F(FakeProc, SaysWhatIsWrong) {
  EXPECT_THAT(failure(), HasSubstr("process 7: there is none"));
  std::filesystem::create_directory(proc.file("7/status"));
  EXPECT_THAT(failure(), HasSubstr("7/status: Is a directory; run epulse-load as the user of"));
  std::filesystem::remove(proc.file("7/status"));
  write_text(proc.file("7/status"), "Name:\tkthreadd\n");
  EXPECT_THAT(failure(), HasSubstr("is it a kernel thread"));
}

}  // namespace
}  // namespace epulse::testing
