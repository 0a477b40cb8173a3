// The search for the highest rate, on real servers.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <csignal>
#include <string>
#include <thread>
#include <vector>

#include "tests/load/fake_server.hpp"
#include "tests/load/load_child.hpp"
#include "tests/server/child.hpp"

namespace epulse::testing {
namespace {

using ::testing::HasSubstr;

// A server that takes its time for each message, one after the other, on one connection after the
// other.
class SlowServer {
 public:
  // `only_one`: whoever comes after the first connection is refused.
  explicit SlowServer(std::chrono::microseconds each, bool only_one = false)
      : each_(each), only_one_(only_one), thread_([this] { serve(); }) {}
  SlowServer(const SlowServer&) = delete;
  SlowServer& operator=(const SlowServer&) = delete;
  ~SlowServer() {
    listener_.stop();
    thread_.join();
  }

  std::string url() const { return listener_.url(); }

 private:
  void serve() {
    while (true) {
      FakeConnection connection(listener_);
      if (connection.fd() < 0) return;
      if (only_one_) listener_.stop();
      while (auto messages = connection.read()) {
        for (const Bytes& message : *messages) {
          std::this_thread::sleep_for(each_);
          say(connection.fd(), server_frame(ws::Opcode::kBinary, message));
        }
      }
    }
  }

  Listener listener_;
  std::chrono::microseconds each_;
  bool only_one_;
  std::thread thread_;
};

struct Probe {
  double rate;
  std::string verdict;
};

std::vector<Probe> probes_of(const std::string& json) {
  std::vector<Probe> probes;
  for (std::size_t at = json.find("\"steps\":["); at != std::string::npos;) {
    const std::string key = "\"verdict\":\"";
    const std::size_t verdict = json.find(key, at);
    if (verdict == std::string::npos) break;
    const std::size_t begin = verdict + key.size();
    const std::size_t end = json.find('"', begin);
    probes.push_back({number(json.substr(at), "rate_due"), json.substr(begin, end - begin)});
    at = end;
  }
  return probes;
}

// "ramp":{...}
std::string end_of(const std::string& json) {
  return json.substr(json.find("\"ramp\":{"));
}

double highest_held(const std::vector<Probe>& probes) {
  double rate = -1;
  for (const Probe& probe : probes) {
    if (probe.verdict == "held") rate = std::max(rate, probe.rate);
  }
  return rate;
}

// 2 ms a message: 500 per second, and no more whatever the machine is doing.
TEST(LoadRamp, FindsWhatAServerCanDo) {
  const SlowServer server(std::chrono::milliseconds(2));
  std::string json;
  double found = -1;
  // Others may be busy beside it: then it is less.
  for (int tries = 0; tries < 3 && found < 200; ++tries) {
    Child load(
        load_command(server.url(), {"-c", "1", "--ramp", "p99<100ms", "--ramp-start", "100",
                                    "--ramp-precision", "0.2", "--step-duration", "0.5", "-j"}));
    const int status = load.wait(milliseconds(60'000));
    json = load.out();
    found = number(end_of(json), "rate");
    const std::vector<Probe> probes = probes_of(json);
    ASSERT_GE(probes.size(), 3U) << json;
    EXPECT_EQ(probes[0].rate, 100);
    EXPECT_EQ(status, highest_held(probes) > 0 ? 0 : 1) << load.err();
    if (highest_held(probes) < 0) continue;
    EXPECT_EQ(found, highest_held(probes)) << json;
    EXPECT_EQ(number(json, "rate_due"), found);
    EXPECT_LT(number(json, "p99_us"), 100e3);
    EXPECT_THAT(json, HasSubstr("\"mode\":\"ramp\""));
    EXPECT_LT(found, 700) << json;
    EXPECT_LE(number(end_of(json), "rate_not_held"), found * 1.2) << json;
  }
  EXPECT_GE(found, 200) << json;
}

TEST(LoadRamp, ATargetThatNoRateHoldsIsNotMet) {
  const SlowServer server(std::chrono::milliseconds(20));
  Child load(load_command(server.url(), {"-c", "1", "--ramp", "p50<=10ms", "--ramp-start", "20",
                                         "--ramp-min", "8", "--step-duration", "0.3"}));
  EXPECT_EQ(load.wait(), 1);
  EXPECT_THAT(load.err(),
              HasSubstr("epulse-load: not met: p50<=10ms: no rate held it, down to 8 msg/s"));
  EXPECT_THAT(load.out(), HasSubstr("probe        20 msg/s due: "));
  EXPECT_THAT(load.out(), HasSubstr("probe        8 msg/s due: "));
  EXPECT_THAT(load.out(), HasSubstr("\nramp         p50<=10ms: no rate held it"));
}

TEST(LoadRamp, OfDeliveriesWithSeveralProcesses) {
  ServerChild server;
  std::string json;
  double found = -1;
  int status = -1;
  // Where others keep the load from a CPU, no probe may be sound.
  for (int tries = 0; tries < 5 && found < 0; ++tries) {
    Child load(load_command(
        server.url("/topic/x"),
        {"-c", "4", "--processes", "2", "--broadcast", "--ramp", "p99<9s", "--ramp-start", "50",
         "--ramp-max", "120", "--step-duration", "0.2", "-j", "--expect", "received>=40"}));
    status = load.wait();
    json = load.out();
    const std::vector<Probe> probes = probes_of(json);
    ASSERT_FALSE(probes.empty()) << json << load.err();
    for (const Probe& probe : probes) EXPECT_NE(probe.verdict, "missed") << json;
    found = highest_held(probes);
  }
  if (found < 0) GTEST_SKIP() << "others keep the load from a CPU: " << json;
  EXPECT_EQ(number(end_of(json), "rate"), found);
  EXPECT_EQ(status, number(json, "received") >= 4 * 10 ? 0 : 1) << json;
  EXPECT_GE(number(json, "sent"), found * 0.2);
  EXPECT_EQ(number(json, "received"), 4 * number(json, "sent"));
  const bool all_held = json.find("\"rate_not_held\":null") != std::string::npos;
  EXPECT_EQ(all_held, found == 120) << json;
}

TEST(LoadRamp, CtrlCEndsItWithWhatIsKnown) {
  ServerChild server;
  Child load(load_command(server.url(), {"-c", "2", "--ramp", "p99<9s", "--ramp-start", "10",
                                         "--ramp-precision", "1", "--step-duration", "0.5"}));
  ASSERT_THAT(load.read_line(), HasSubstr("probe        10 msg/s due: "));
  load.signal(SIGINT);
  EXPECT_LE(load.wait(), 1) << load.err();
  EXPECT_THAT(load.out(), HasSubstr("\nramp         p99<9s: "));
  Child first(load_command(server.url(), {"-c", "2", "--ramp", "p99<9s", "--step-duration", "60"}));
  EXPECT_EQ(first.read_line(milliseconds(300)), "");  // it is under way
  first.signal(SIGINT);
  EXPECT_EQ(first.wait(), 1);
  EXPECT_THAT(first.out(), HasSubstr("\nramp         p99<9s: no rate was tried to the end\n"));
}

TEST(LoadRamp, AServerThatGoesAwayTakesNothingOfWhatWasFound) {
  const SlowServer server(std::chrono::microseconds(10), true);
  Child load(load_command(server.url(), {"-c", "1", "--ramp", "p99<9s", "--ramp-start", "50",
                                         "--step-duration", "0.5"}));
  EXPECT_EQ(load.wait(), 1);
  EXPECT_THAT(load.err(), HasSubstr("cannot connect to "));
  EXPECT_THAT(load.out(), HasSubstr("probe        50 msg/s due: "));
  EXPECT_THAT(load.out(), HasSubstr(", until the server could not be reached\n"));
}

TEST(LoadRamp, UsageErrors) {
  for (const std::vector<std::string>& options :
       {std::vector<std::string>{"--ramp", "p99"},
        {"--ramp", "p99>2ms"},
        {"--ramp", "rate>5"},
        {"--ramp", "p99<2ms", "-r", "5"},
        {"--ramp", "p99<2ms", "-d", "5"},
        {"--ramp", "p99<2ms", "--handshakes"},
        {"--ramp", "p99<2ms", "--record", "x"},
        {"--ramp", "p99<2ms", "--ramp-min", "20", "--ramp-max", "10"},
        {"--ramp", "p99<2ms", "--ramp-start", "5"},
        {"--ramp-start", "5"}}) {
    Child load(load_command("ws://127.0.0.1:1/", options));
    EXPECT_EQ(load.wait(), 2);
    EXPECT_THAT(load.err(), HasSubstr("--ramp"));
    EXPECT_EQ(std::count(load.err().begin(), load.err().end(), '\n'), 1) << load.err();
  }
}

}  // namespace
}  // namespace epulse::testing
