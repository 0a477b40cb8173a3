// The real load generator's files, thresholds and metrics.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <string>
#include <vector>

#include "tests/agent/temp_dir.hpp"
#include "tests/load/load_child.hpp"
#include "tests/server/child.hpp"
#include "tests/server/test_client.hpp"

namespace epulse::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

class LoadOutputs : public ::testing::Test {
 protected:
  static std::vector<std::string> lines(const std::string& path) {
    std::vector<std::string> all;
    std::ifstream stream(path);
    for (std::string line; std::getline(stream, line);) all.push_back(line);
    return all;
  }

  ServerChild server;
  TempDir directory;
};

TEST_F(LoadOutputs, EachMessageIsRecordedInOrderOfItsTimes) {
  const std::string path = directory.file("record.jsonl");
  Child load(load_command(server.url(),
                          {"-c", "3", "-t", "2", "-r", "101", "-d", "1", "-j", "--record", path}));
  ASSERT_EQ(load.wait(), 0) << load.out() << load.err();
  const std::vector<std::string> all = lines(path);
  ASSERT_EQ(all.size(), 1U + 3 + 101 + 1);
  EXPECT_EQ(number(all[0], "messages"), 101);
  const double start_ns = number(all[0], "start_ns");
  for (std::size_t k = 1; k <= 3; ++k) {
    EXPECT_THAT(all[k], StartsWith(R"({"type":"connection","connection":)"));
    EXPECT_THAT(all[k], HasSubstr(R"("peer":"127.0.0.1:)" + std::to_string(server.port())));
  }
  for (std::size_t k = 4; k < 4 + 101; ++k) {
    unsigned connection = 0;
    unsigned sequence = 0;
    double due = 0;
    double sent = 0;
    double received = 0;
    ASSERT_EQ(std::sscanf(all[k].c_str(), "{\"m\":[%u,%u,%lf,%lf,%lf]}", &connection, &sequence,
                          &due, &sent, &received),
              5)
        << all[k];
    EXPECT_LT(connection, 3U);
    EXPECT_LT(sequence, 34U);
    EXPECT_GE(due, start_ns) << all[k];
    EXPECT_LE(due, sent) << all[k];
    EXPECT_LT(sent, received) << all[k];
  }
  EXPECT_EQ(all.back(), R"({"type":"end","messages":101})");
}

TEST_F(LoadOutputs, TheHistogramLogHoldsAllThatTheSummaryHas) {
  const std::string log = directory.file("load.hlog");
  const std::string percentiles = directory.file("load.hgrm");
  Child load(load_command(server.url(), {"-c", "3", "-r", "1000", "-d", "0.5", "--progress", "0.1",
                                         "-j", "--hdr-log", log, "--hgrm", percentiles}));
  ASSERT_EQ(load.wait(), 0) << load.out() << load.err();
  EXPECT_GE(lines(log).size(), 4U + 4);
  EXPECT_EQ(lines(log)[1], "#[Histogram log format version 1.3]");
  const std::vector<std::string> text = lines(percentiles);
  ASSERT_GT(text.size(), 5U);
  EXPECT_THAT(text[text.size() - 2], HasSubstr("Total count    =          500]"));
}

TEST_F(LoadOutputs, TheExitStatusReflectsWhatIsExpected) {
  const auto status = [&](const std::vector<std::string>& options) {
    std::vector<std::string> all = {"-c", "2", "-d", "0.1", "-j"};
    all.insert(all.end(), options.begin(), options.end());
    Child load(load_command(server.url(), all));
    const int code = load.wait();
    return std::to_string(code) + " " + load.err();
  };
  EXPECT_EQ(status({"--expect", "p99<10s", "--expect", "errors=0"}), "0 ");
  EXPECT_THAT(status({"--expect", "p99<10s", "--expect", "rate>1e12"}),
              StartsWith("1 epulse-load: not met: rate>1e12: it was "));
  EXPECT_THAT(status({"--expect", "nonsense"}), StartsWith("2 epulse-load: --expect: 'nonsense'"));
  EXPECT_THAT(status({"--record", "/nowhere/at/all"}),
              StartsWith("2 epulse-load: cannot create '/nowhere/at/all' for the record: No such"));
  EXPECT_THAT(status({"--metrics", "127.0.0.1"}), StartsWith("2 epulse-load: cannot offer"));
}

// tools/bench/plot has tests of its own (tests/bench); this is about what it is given.
TEST_F(LoadOutputs, TheJsonCanBeDrawn) {
  const std::string path = directory.file("result.json");
  Child load(load_command(server.url(), {"-c", "2", "-r", "500,1000", "-d", "0.4", "-j"}));
  ASSERT_EQ(load.wait(), 0) << load.err();
  write_text(path, load.out());
  for (const char* diagram : {"percentiles", "rates"}) {
    Child plot({EPULSE_PLOT_PATH, diagram, "the load=" + path});
    ASSERT_EQ(plot.wait(), 0) << plot.err();
    EXPECT_THAT(plot.out(), StartsWith("<svg "));
    EXPECT_THAT(plot.out(), HasSubstr(">the load"));
  }
}

// In the midst of the load, with threads and without; and with the last line.
TEST_F(LoadOutputs, WhereThereIsNoRoomTheLoadEndsAndSaysSo) {
  const auto status = [&](std::vector<std::string> options, const std::string& out) {
    std::vector<std::string> command = {"/bin/sh", "-c", "exec \"$@\" >" + out, "sh"};
    options.insert(options.end(), {"-c", "4", "-t", "2", "-r", "4000", "--progress", "0.02"});
    const std::vector<std::string> load = load_command(server.url(), options);
    command.insert(command.end(), load.begin(), load.end());
    Child child(command);
    const int code = child.wait();
    return std::to_string(code) + " " + child.err();
  };
  const std::string to_file =
      "2 epulse-load: cannot write all of '/dev/full': No space left on device; is there room on "
      "the disk?\n";
  const std::string to_stdout =
      "2 epulse-load: cannot write the result to stdout: No space left on device; is there room "
      "where it goes?\n";
  EXPECT_EQ(status({"-d", "60", "--hdr-log", "/dev/full"}, "/dev/null"), to_file);
  EXPECT_EQ(status({"-d", "60"}, "/dev/full"), to_stdout);
  EXPECT_EQ(status({"-d", "60", "--processes", "2"}, "/dev/full"), to_stdout);
  EXPECT_EQ(status({"-d", "0.1", "--hgrm", "/dev/full"}, "/dev/null"), to_file);
  EXPECT_EQ(status({"-d", "0.1", "--record", "/dev/full"}, "/dev/null"), to_file);
  Child last(load_command(server.url(), {"-d", "0.1", "-j", "--hdr-log", "/dev/full"}));
  EXPECT_EQ(last.wait(), 2);
  EXPECT_THAT(last.err(), HasSubstr("No space left on device"));
}

TEST_F(LoadOutputs, MetricsAreServedWhileItRuns) {
  int port = 0;
  {
    const Listener free_port;
    port = std::stoi(free_port.url().substr(free_port.url().rfind(':') + 1));
  }
  Child load(load_command(server.url(), {"-c", "3", "-d", "1000", "--progress", "0.1", "--metrics",
                                         "127.0.0.1:" + std::to_string(port)}));
  ASSERT_NE(load.read_line(), "");
  const std::string answer = TestClient(port).request("GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 200 OK\r\n"));
  EXPECT_THAT(answer, HasSubstr("epulse_load_connections 3\n"));
  EXPECT_THAT(answer, HasSubstr("epulse_load_latency_seconds_count "));
  EXPECT_THAT(TestClient(port).request("GET / HTTP/1.1\r\nHost: x\r\n\r\n"),
              StartsWith("HTTP/1.1 404 "));
  load.signal(SIGTERM);
  EXPECT_EQ(load.wait(), 0) << load.err();
}

}  // namespace
}  // namespace epulse::testing
