// From samples to what a program is told of alarms: the whole way, of threads that are made up.
#include "agent/daemon/alarms.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "tests/agent/temp_dir.hpp"

namespace epulse::daemon {
namespace {

config::AlertRule busy_rule(const std::string& name) {
  config::AlertRule rule;
  rule.name = name;
  rule.metric = "run_share";
  rule.statistic = "mean";
  rule.threshold = 0.5;
  rule.clear_s = 1;
  return rule;
}

// Thread 7 on a CPU for `share` of the time.
TargetSample running(double share) {
  TargetSample sample;
  sample.sched.seconds = 1;
  model::ThreadSched thread;
  thread.tid = 7;
  thread.name = "w";
  thread.is_worker = true;
  thread.run_share = share;
  thread.timeslices_per_second = 1000;
  sample.sched.threads.push_back(thread);
  return sample;
}

class AlarmsTest : public ::testing::Test {
 public:
  AlarmsTest() : log_(dir_.path(), "redis[4711]") {
    uv_loop_init(&loop_);
    config_.alerts.rules = {busy_rule("Busy")};
    say("$EPULSE_STATE $EPULSE_LABEL_ALERTNAME: $EPULSE_REASON");
  }
  ~AlarmsTest() override {
    uv_run(&loop_, UV_RUN_DEFAULT);
    EXPECT_EQ(uv_loop_close(&loop_), 0);
  }

 protected:
  // What the program writes of each alarm that it is told.
  void say(const std::string& what) {
    config_.alerts.exec.command = {"/bin/sh", "-c", "echo \"" + what + "\" >>$0", out_};
  }

  std::unique_ptr<Alarms> alarms(const config::Config& config) {
    return std::make_unique<Alarms>(config, Alarms::Target{4711, "redis", "procfs", false}, loop_,
                                    log_);
  }

  // What the program was told until `why` ends it all.
  std::string told(Alarms& alarms, const std::string& why) {
    alarms.end(why);
    return read_text(out_);
  }

  TempDir dir_;
  std::string out_ = dir_.file("out");
  uv_loop_t loop_{};
  TuningLog log_;
  config::Config config_;
};

TEST_F(AlarmsTest, SayThatTheValueIsWellAgain) {
  const auto all = alarms(config_);
  for (const double share : {0.9, 0.25}) all->interval(running(share));
  EXPECT_EQ(told(*all, "x"),
            "firing Busy: \nresolved Busy: mean 0.25, at or below 0.5 for 1 interval\n");
}

TEST_F(AlarmsTest, SayThatTheThreadHasEnded) {
  const auto all = alarms(config_);
  all->interval(running(0.9));
  all->interval({});
  EXPECT_EQ(told(*all, "x"), "firing Busy: \nresolved Busy: thread 7 has ended\n");
}

TEST_F(AlarmsTest, SayThatNothingIsWatchedAnyMore) {
  const auto all = alarms(config_);
  all->interval(running(0.9));
  EXPECT_EQ(told(*all, "process redis[4711] has ended"),
            "firing Busy: \nresolved Busy: process redis[4711] has ended\n");
}

TEST_F(AlarmsTest, SayWhatBecameOfTheRule) {
  config_.alerts.rules.push_back(busy_rule("Changed"));
  const auto before = alarms(config_);
  before->interval(running(0.9));
  config_.alerts.rules = {busy_rule("Changed")};
  config_.alerts.rules[0].severity = "critical";
  const auto after = alarms(config_);
  after->take_over(*before);
  before->end("x");
  EXPECT_EQ(told(*after, "x"),
            "firing Busy: \nfiring Changed: \n"
            "resolved Busy: its rule was removed from the configuration\n"
            "resolved Changed: its rule was changed in the configuration\n");
}

// Whatever else is new: nobody is told once more, and it is resolved when it is well.
TEST_F(AlarmsTest, AReloadThatLeavesTheRuleKeepsItFiring) {
  const auto before = alarms(config_);
  before->interval(running(0.9));
  const auto firing = before->firing();
  ASSERT_EQ(firing.size(), 1U);
  config::Config other = config_;
  other.agent.interval_ms = 200;  // to be well for a second is five intervals now
  other.alerts.rules.insert(other.alerts.rules.begin(), busy_rule("Another"));
  other.alerts.rules[0].threshold = 1;
  other.alerts.exec.timeout_s = 3;
  other.alerts.capture.before_s = 3;
  other.alerts.alertmanager.resend_s = 5;
  const auto after = alarms(other);
  after->take_over(*before);
  before->end("x");
  EXPECT_EQ(after->firing(), firing);
  after->interval(running(0.9));
  for (int i = 0; i < 4; ++i) after->interval(running(0.1));
  ASSERT_EQ(after->firing().size(), 1U);
  EXPECT_EQ(after->firing()[0].id, firing[0].id);
  after->interval(running(0.1));
  EXPECT_EQ(told(*after, "x"),
            "firing Busy: \nresolved Busy: mean 0.1, at or below 0.5 for 5 intervals\n");
}

TEST_F(AlarmsTest, HaveTheLatestFigureAndTheWorst) {
  say("$EPULSE_STATE $EPULSE_VALUE $EPULSE_WORST $EPULSE_THRESHOLD");
  const auto all = alarms(config_);
  for (const double share : {0.75, 1.0, 0.625}) all->interval(running(share));
  ASSERT_EQ(all->firing().size(), 1U);
  EXPECT_EQ(all->firing()[0].reading, (alerts::Reading{0.625, 1}));
  all->interval(running(0.25));
  EXPECT_EQ(told(*all, "x"), "firing 0.75 0.75 0.5\nresolved 0.25 1 0.5\n");
}

TEST(GoneText, SaysWhatIsGone) {
  const TargetSample sample = running(0.9);
  EXPECT_EQ(gone_text(sample, "thread 8 epfd 5"), "thread 8 has ended");
  EXPECT_EQ(gone_text(sample, "thread 7 epfd 5"), "its epoll descriptor 5 was closed");
  EXPECT_EQ(gone_text(sample, "epfd 5"), "its epoll descriptor 5 was closed");
  EXPECT_EQ(gone_text(sample, "thread 7"), "it serves no epoll instance any more");
}

}  // namespace
}  // namespace epulse::daemon
