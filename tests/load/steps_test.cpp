// Rates one after the other: the real load generator against the real server, and a slow one.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <csignal>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "tests/load/fake_server.hpp"
#include "tests/load/load_child.hpp"
#include "tests/load/server_counts.hpp"
#include "tests/server/child.hpp"

namespace epulse::testing {
namespace {

using ::testing::HasSubstr;

// The objects of the array "steps", each from its first member on.
std::vector<std::string> steps_of(const std::string& json) {
  std::vector<std::string> steps;
  std::size_t at = json.find("\"steps\":[");
  while ((at = json.find("{\"rate_due\":", at)) != std::string::npos) {
    steps.push_back(json.substr(at++));
  }
  return steps;
}

TEST(LoadSteps, EachRateIsSentAndCountedForItself) {
  ServerChild server;
  Child load(
      load_command(server.url(), {"-c", "7", "-t", "2", "-r", "1000,3001,500", "-d", "0.9", "-j"}));
  ASSERT_EQ(load.wait(), 0) << load.out() << load.err();
  const std::string& json = load.out();
  EXPECT_EQ(number(json, "rate_due"), (1000 + 3001 + 500) / 3.0);
  EXPECT_EQ(number(json, "sent"), 300 + 901 + 150);
  EXPECT_EQ(messages_in(server.port()), 1351U);
  const std::vector<std::string> steps = steps_of(json);
  ASSERT_EQ(steps.size(), 3U) << json;
  double elapsed_s = 0;
  const double sent[] = {300, 901, 150};
  const double due[] = {1000, 3001, 500};
  for (std::size_t k = 0; k < 3; ++k) {
    EXPECT_EQ(number(steps[k], "rate_due"), due[k]);
    EXPECT_EQ(number(steps[k], "sent"), sent[k]);
    EXPECT_EQ(number(steps[k], "received"), sent[k]);
    elapsed_s += number(steps[k], "elapsed_s");
    EXPECT_GT(number(steps[k], "rate"), due[k] / 2);
    EXPECT_GT(number(steps[k], "p50_us"), 0);
    EXPECT_LE(number(steps[k], "p99_us"), number(steps[k], "p999_us"));
    EXPECT_EQ(number(steps[k], "errors_total"), 0);
  }
  EXPECT_NEAR(elapsed_s, 0.9, 1e-6);
}

TEST(LoadSteps, StepDurationIsOfEach) {
  ServerChild server;
  Child load(load_command(server.url(), {"-c", "2", "--processes", "2", "-r", "100,200",
                                         "--step-duration", "0.2", "--progress", "0"}));
  ASSERT_EQ(load.wait(), 0) << load.out() << load.err();
  EXPECT_THAT(load.out(), HasSubstr("open loop, 100, 200 msg/s due for 200 ms each, latency"));
  EXPECT_THAT(load.out(), HasSubstr("\nmessages     60 sent, 60 received in 0.40 s"));
  EXPECT_THAT(load.out(), HasSubstr("\nstep         100 msg/s due: "));
  EXPECT_THAT(load.out(), HasSubstr("\nstep         200 msg/s due: "));
}

// The first step's messages wait for the server in the second: their wait counts in the first.
TEST(LoadSteps, AnAnswerThatComesLaterBelongsToTheStepOfItsMessage) {
  const Listener listener;
  std::thread server([&] {
    FakeConnection connection(listener);
    std::vector<Bytes> held;
    while (auto messages = connection.read()) {
      held.insert(held.end(), messages->begin(), messages->end());
      if (held.size() <= 40) continue;  // all of the first step and one of the second
      for (const Bytes& message : std::exchange(held, {})) {
        say(connection.fd(), server_frame(ws::Opcode::kBinary, message));
      }
      break;
    }
    while (auto messages = connection.read()) {
      for (const Bytes& message : *messages) {
        say(connection.fd(), server_frame(ws::Opcode::kBinary, message));
      }
    }
  });
  Child load(load_command(listener.url(), {"-c", "1", "-r", "100,100", "-d", "0.8", "-j"}));
  EXPECT_EQ(load.wait(), 0) << load.out() << load.err();
  server.join();
  const std::vector<std::string> steps = steps_of(load.out());
  ASSERT_EQ(steps.size(), 2U) << load.out();
  EXPECT_EQ(number(steps[0], "received"), 40);
  EXPECT_EQ(number(steps[1], "received"), 40);
  EXPECT_EQ(number(steps[0], "rate"), 0);    // nothing came while it lasted
  EXPECT_GT(number(steps[1], "rate"), 150);  // but all of it then
  EXPECT_GT(number(steps[0], "max_us"), 390e3);
  EXPECT_GT(number(steps[0], "p50_us"), 190e3);
  EXPECT_LT(number(steps[1], "p50_us"), 190e3);
}

TEST(LoadSteps, WhatNobodyIsThereToSendIsCountedInItsStep) {
  const Listener listener;
  std::thread server([&] { FakeConnection(listener).read(); });  // takes some, and leaves
  Child load(load_command(listener.url(), {"-c", "1", "-r", "100,200", "-d", "2", "-j"}));
  EXPECT_EQ(load.wait(), 1) << load.out() << load.err();
  server.join();
  const std::vector<std::string> steps = steps_of(load.out());
  ASSERT_EQ(steps.size(), 2U) << load.out();
  EXPECT_EQ(number(steps[1], "unsent"), 200);
  EXPECT_EQ(number(steps[1], "errors_total"), 200);
  EXPECT_EQ(number(steps[0], "errors_total") + 200, number(load.out(), "errors_total"));
}

// What a generator cannot keep up with must not vanish from the result.
TEST(LoadSteps, WhatWasNeverSentForWantOfTimeIsCountedInItsStep) {
  ServerChild server;
  Child load(load_command(server.url(),
                          {"-c", "4", "-r", "1000,50000000", "--step-duration", "0.1", "-j"}));
  EXPECT_EQ(load.wait(), 1) << load.out() << load.err();
  const std::vector<std::string> steps = steps_of(load.out());
  ASSERT_EQ(steps.size(), 2U) << load.out();
  EXPECT_EQ(number(steps[0], "sent"), 100);
  EXPECT_GT(number(steps[1], "unsent"), 0);
  EXPECT_EQ(number(steps[1], "sent") + number(steps[1], "unsent"), 5'000'000);
  EXPECT_THAT(steps[1], HasSubstr("was late"));
}

TEST(LoadSteps, CtrlCEndsItWithTheStepsSoFar) {
  ServerChild server;
  Child load(load_command(server.url(),
                          {"-c", "2", "-r", "100,200,300", "-d", "300", "--progress", "0.1"}));
  ASSERT_NE(load.read_line(), "");
  load.signal(SIGINT);
  ASSERT_EQ(load.wait(), 0) << load.err();
  EXPECT_THAT(load.out(), HasSubstr("\nstep         100 msg/s due: "));
  EXPECT_EQ(load.out().find("\nstep         200"), std::string::npos) << load.out();
}

TEST(Load, IntervalsAddUpToTheSummary) {
  ServerChild server;
  Child load(
      load_command(server.url(), {"-c", "3", "-r", "499", "-d", "1", "-j", "--progress", "0.2"}));
  ASSERT_EQ(load.wait(), 0) << load.out() << load.err();
  const std::vector<std::string> lines = lines_of(load.out());
  ASSERT_GE(lines.size(), 5U);
  double messages = 0;
  double time = 0;
  for (std::size_t i = 0; i + 1 < lines.size(); ++i) {
    EXPECT_TRUE(lines[i].starts_with(R"({"schema_version":1,"type":"interval",)")) << lines[i];
    EXPECT_GT(number(lines[i], "time_s"), time);
    time = number(lines[i], "time_s");
    messages += number(lines[i], "messages");
    EXPECT_EQ(number(lines[i], "connections"), 3);
    EXPECT_EQ(number(lines[i], "errors_total"), 0);
  }
  // Answers to the last messages may come after the last interval.
  EXPECT_LE(messages, 499);
  EXPECT_GE(messages, 450);
  EXPECT_EQ(number(lines.back(), "received"), 499);
}

TEST(LoadSteps, UsageErrors) {
  std::string many = "1";
  for (int k = 0; k < 100; ++k) many += ",1";
  for (const std::vector<std::string>& options : {std::vector<std::string>{"-r", "100,x"},
                                                  {"-r", "100,0"},
                                                  {"-r", many},
                                                  {"--step-duration", "1"},
                                                  {"-r", "1,2", "-d", "1", "--step-duration", "1"},
                                                  {"-r", "1,2", "--broadcast"}}) {
    Child load(load_command("ws://127.0.0.1:1/", options));
    EXPECT_EQ(load.wait(), 2);
    EXPECT_THAT(load.err(), HasSubstr("--")) << load.err();
    EXPECT_EQ(std::count(load.err().begin(), load.err().end(), '\n'), 1) << load.err();
  }
}

}  // namespace
}  // namespace epulse::testing
