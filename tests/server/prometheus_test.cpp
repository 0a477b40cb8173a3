#include "server/session/prometheus.hpp"

#include <gtest/gtest.h>

#include <sstream>
#include <vector>

#include "server/contract/handshake_buckets.hpp"

namespace epulse::server {
namespace {

std::vector<std::string> lines_with(const std::string& text, const std::string& part) {
  std::vector<std::string> lines;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) {
    if (line.find(part) != std::string::npos) lines.push_back(line);
  }
  return lines;
}

TEST(Prometheus, EachCounterOfEachWorkerHasALine) {
  std::vector<epulse_stats_worker> workers(2);
  workers[0].messages_in = 17;
  workers[1].messages_in = 1'000'000'000'000;
  workers[1].handler_ns = 1'500'000'001;
  const std::string text = prometheus_text(workers);
  EXPECT_EQ(
      lines_with(text, "messages_received_total"),
      (std::vector<std::string>{"# HELP epulse_ws_messages_received_total Messages from clients.",
                                "# TYPE epulse_ws_messages_received_total counter",
                                "epulse_ws_messages_received_total{worker=\"0\"} 17",
                                "epulse_ws_messages_received_total{worker=\"1\"} 1000000000000"}));
  EXPECT_EQ(lines_with(text, "busy_seconds_total{worker=\"1\"}"),
            (std::vector<std::string>{"epulse_ws_loop_busy_seconds_total{worker=\"1\"} "
                                      "1.500000001"}));
}

TEST(Prometheus, BucketsAreCumulativeAndEndWithTheCount) {
  std::vector<epulse_stats_worker> workers(1);
  for (const std::uint64_t ns : {1ULL, 250'000ULL, 250'001ULL, 900'000'000ULL, 60'000'000'000ULL}) {
    ++workers[0].handshake_buckets[handshake_bucket(ns)];
    workers[0].handshake_ns += ns;
  }
  const std::string text = prometheus_text(workers);
  const auto value = [&](const std::string& part) {
    const auto lines = lines_with(text, part);
    return lines.size() == 1 ? lines[0].substr(lines[0].rfind(' ') + 1) : "?";
  };
  EXPECT_EQ(value("le=\"0.00025\""), "2");
  EXPECT_EQ(value("le=\"0.0005\""), "3");
  EXPECT_EQ(value("le=\"0.8\""), "3");
  EXPECT_EQ(value("le=\"1\""), "4");
  EXPECT_EQ(value("le=\"5\""), "4");
  EXPECT_EQ(value("le=\"+Inf\""), "5");
  EXPECT_EQ(value("duration_seconds_count"), "5");
  EXPECT_EQ(value("duration_seconds_sum"), "60.900500002");
}

// What a scraper rejects: a sample before its TYPE, a name that is no name, a line without a value.
TEST(Prometheus, EveryLineIsOfTheFormat) {
  const std::string text = prometheus_text(std::vector<epulse_stats_worker>(3));
  ASSERT_TRUE(text.ends_with('\n'));
  std::istringstream in(text);
  std::string metric;
  int samples = 0;
  for (std::string line; std::getline(in, line);) {
    if (line.starts_with("# HELP ")) continue;
    if (line.starts_with("# TYPE ")) {
      metric = line.substr(7, line.find(' ', 7) - 7);
      continue;
    }
    EXPECT_TRUE(line.starts_with(metric)) << line;
    const std::size_t value = line.find("} ");
    ASSERT_NE(value, std::string::npos) << line;
    EXPECT_NO_THROW(static_cast<void>(std::stod(line.substr(value + 2)))) << line;
    ++samples;
  }
  EXPECT_GT(samples, 3 * 17);
}

}  // namespace
}  // namespace epulse::server
