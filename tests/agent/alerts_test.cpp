#include "agent/alerts/alerts.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>

namespace epulse::alerts {
namespace {

AlertRule depth_rule() {
  AlertRule rule{"alerts.depth_max", "ready-queue depth", "max", "", 500, 2, 3};
  rule.min_samples = 0;
  return rule;
}
AlertRule wakeup_rule() {
  return {"alerts.wakeup_p99_us", "wake-up delay", "p99", "us", 100, 1, 1, 20};
}

const std::string kSubject = "ws-worker-1[4711] epfd 5";

std::vector<AlertEvent> feed(AlertEngine& engine, double value, uint64_t samples = 1000) {
  const std::vector<Observation> observations = {{0, kSubject, value, samples}};
  return engine.interval(observations);
}

TEST(AlertEngine, FiresAfterTheIntervalsAskedFor) {
  AlertEngine engine({depth_rule()});
  EXPECT_TRUE(feed(engine, 700).empty());
  EXPECT_TRUE(feed(engine, 500).empty()) << "the limit itself is not above it";
  EXPECT_TRUE(feed(engine, 700).empty()) << "not consecutive";
  const auto events = feed(engine, 812);
  ASSERT_EQ(events.size(), 1U);
  EXPECT_EQ(events[0].kind, AlertEvent::Kind::kFired);
  EXPECT_EQ(events[0].text,
            "ALERT ready-queue depth of ws-worker-1[4711] epfd 5: max 812 > 500 (alerts.depth_max, "
            "severity warning); resolved when at or below 500 for 3 intervals");
  EXPECT_TRUE(feed(engine, 900).empty()) << "said once";
  EXPECT_EQ(engine.firing(), 1U);
}

TEST(AlertEngine, ResolvesAfterTheIntervalsAskedFor) {
  AlertEngine engine({depth_rule()});
  for (const double value : {700, 812, 900, 1, 2}) feed(engine, value);
  EXPECT_TRUE(feed(engine, 501).empty());
  feed(engine, 3);
  EXPECT_TRUE(feed(engine, 500).empty());
  const auto events = feed(engine, 12);
  ASSERT_EQ(events.size(), 1U);
  EXPECT_EQ(events[0].kind, AlertEvent::Kind::kResolved);
  EXPECT_EQ(
      events[0].text,
      "RESOLVED ready-queue depth of ws-worker-1[4711] epfd 5: max 12, at or below 500 for 3 "
      "intervals (alerts.depth_max, severity warning); it fired for 6 intervals, worst max 900");
  EXPECT_EQ(engine.firing(), 0U);
}

TEST(AlertEngine, FewSamplesAreNoAlert) {
  AlertEngine engine({wakeup_rule()});
  EXPECT_TRUE(feed(engine, 5000, 19).empty());
  const auto fired = feed(engine, 250.4, 20);
  ASSERT_EQ(fired.size(), 1U);
  EXPECT_NE(fired[0].text.find("p99 250 us > 100 us (alerts.wakeup_p99_us, severity warning)"),
            std::string::npos)
      << fired[0].text;
  EXPECT_NE(fired[0].text.find("for 1 interval"), std::string::npos);
  const auto resolved = feed(engine, 5000, 3);
  ASSERT_EQ(resolved.size(), 1U);
  EXPECT_NE(resolved[0].text.find("only 3 samples, at least 20 make a p99"), std::string::npos)
      << resolved[0].text;
}

TEST(AlertEngine, VanishedSubjectsResolve) {
  AlertEngine engine({depth_rule()});
  feed(engine, 700);
  feed(engine, 700);
  const auto events = engine.interval({});
  ASSERT_EQ(events.size(), 1U);
  EXPECT_EQ(events[0].kind, AlertEvent::Kind::kResolved);
  EXPECT_NE(events[0].text.find("it is gone"), std::string::npos);
  EXPECT_TRUE(engine.interval({}).empty());
  EXPECT_TRUE(feed(engine, 700).empty()) << "its past is forgotten";
}

// What a rule looks at was not measured in this interval, and says nothing about anybody.
TEST(AlertEngine, RulesThatAreNotJudgedStayAsTheyAre) {
  AlertEngine engine({depth_rule(), wakeup_rule()});
  feed(engine, 700);
  EXPECT_TRUE(engine.interval({}, {0}).empty());
  ASSERT_EQ(feed(engine, 700).size(), 1U) << "the second interval in which it was beyond";
  EXPECT_TRUE(engine.interval({}, {0}).empty());
  EXPECT_EQ(engine.firing(), 1U);
  EXPECT_EQ(engine.interval({}, {1}).size(), 1U) << "gone, by the rule that was judged";
}

// A loop that has stopped says nothing of how late its wake-ups are: no reason to be content.
TEST(AlertEngine, WhatIsNotJudgedGoesOnFiring) {
  AlertEngine engine({depth_rule()});
  feed(engine, 700);
  EXPECT_EQ(feed(engine, 700).size(), 1U);
  const std::vector<Observation> silent = {{0, kSubject, 0, 0, "", false}};
  for (int i = 0; i < 10; ++i) EXPECT_TRUE(engine.interval(silent).empty());
  EXPECT_EQ(engine.firing(), 1U);
  EXPECT_EQ(engine.interval({}).size(), 1U);
}

TEST(AlertEngine, KnowsTheLatestFigureAndTheWorst) {
  AlertRule rule = wakeup_rule();  // above 100 us, at least 20 samples
  rule.clear_intervals = 3;
  AlertEngine engine({rule});
  feed(engine, 250);
  EXPECT_EQ(engine.reading(0, kSubject), (Reading{250, 250}));
  feed(engine, 900);
  feed(engine, 300);
  EXPECT_EQ(engine.reading(0, kSubject), (Reading{300, 900}));
  feed(engine, 0, 3);
  EXPECT_EQ(engine.reading(0, kSubject), (Reading{300, 900})) << "three are no p99";
  feed(engine, 80);
  EXPECT_EQ(engine.reading(0, kSubject), (Reading{80, 900}));
  const auto resolved = feed(engine, 0, 3);
  ASSERT_EQ(resolved.size(), 1U);
  EXPECT_EQ(resolved[0].value, 80);
}

// A thread that takes another name is no other thread.
TEST(AlertEngine, ASubjectMayBeRenamed) {
  AlertEngine engine({depth_rule()});
  const auto named = [&](const std::string& name) {
    return engine.interval(std::vector<Observation>{{0, "thread 7 epfd 5", 900, 1, name}});
  };
  EXPECT_TRUE(named("thread 7 epfd 5").empty());
  const auto fired = named("ws-worker-0[7] epfd 5");
  ASSERT_EQ(fired.size(), 1U);
  EXPECT_EQ(fired[0].name, "ws-worker-0[7] epfd 5");
  EXPECT_NE(fired[0].text.find("of ws-worker-0[7] epfd 5"), std::string::npos) << fired[0].text;
  EXPECT_TRUE(named("other[7] epfd 5").empty()) << "it goes on firing";
  const auto resolved = engine.interval({});
  ASSERT_EQ(resolved.size(), 1U);
  EXPECT_NE(resolved[0].text.find("of other[7] epfd 5"), std::string::npos) << resolved[0].text;
}

TEST(AlertEngine, SubjectsAndRulesAreApart) {
  AlertEngine engine({depth_rule(), wakeup_rule()});
  const std::vector<Observation> observations = {
      {0, "a", 900, 1}, {0, "b", 1, 1}, {1, "a", 200, 50}, {1, "b", 200, 1}};
  EXPECT_EQ(engine.interval(observations).size(), 1U) << "a's wake-up delay, for one interval";
  const auto events = engine.interval(observations);
  ASSERT_EQ(events.size(), 1U);
  EXPECT_EQ(events[0].subject, "a");
  EXPECT_EQ(events[0].rule, 0U);
}

TEST(AlertEngine, NotANumberIsNotAbove) {
  AlertEngine engine({wakeup_rule()});
  EXPECT_TRUE(feed(engine, std::nan("")).empty());
  const auto events = feed(engine, std::numeric_limits<double>::infinity());
  EXPECT_EQ(events.size(), 1U);
}

// Between the thresholds it is neither: it does not fire, and what fires goes on.
TEST(AlertEngine, HysteresisKeepsAFlappingValueFiring) {
  AlertRule rule = depth_rule();
  rule.hysteresis = 0.2;  // well at or below 400
  AlertEngine engine({rule});
  for (const double value : {450, 450, 450}) EXPECT_TRUE(feed(engine, value).empty());
  feed(engine, 501);
  const auto fired = feed(engine, 501);
  ASSERT_EQ(fired.size(), 1U);
  EXPECT_NE(fired[0].text.find("resolved when at or below 400"), std::string::npos)
      << fired[0].text;
  for (int i = 0; i < 10; ++i) EXPECT_TRUE(feed(engine, i % 2 == 0 ? 450 : 501).empty());
  feed(engine, 400);
  feed(engine, 401);  // back within: the count starts again
  feed(engine, 400);
  EXPECT_TRUE(feed(engine, 400).empty());
  EXPECT_EQ(feed(engine, 400).size(), 1U);
}

TEST(AlertEngine, BelowIsTheOtherWayRound) {
  AlertRule rule = depth_rule();
  rule.comparison = Comparison::kBelow;
  rule.threshold = 100;
  rule.hysteresis = 0.5;  // well at or above 150
  rule.for_intervals = rule.clear_intervals = 1;
  AlertEngine engine({rule});
  EXPECT_TRUE(feed(engine, 100).empty());
  const auto fired = feed(engine, 40);
  ASSERT_EQ(fired.size(), 1U);
  EXPECT_NE(fired[0].text.find(
                "max 40 < 100 (alerts.depth_max, severity warning); resolved when at or above 150"),
            std::string::npos)
      << fired[0].text;
  feed(engine, 20);
  EXPECT_TRUE(feed(engine, 149).empty());
  const auto resolved = feed(engine, 150);
  ASSERT_EQ(resolved.size(), 1U);
  EXPECT_NE(resolved[0].text.find("worst max 20"), std::string::npos) << resolved[0].text;
}

TEST(AlertEngine, TheEndResolvesAll) {
  AlertEngine engine({depth_rule()});
  feed(engine, 700);
  feed(engine, 700);
  const auto events = engine.end([](size_t, const std::string&) { return "epulsed has stopped"; });
  ASSERT_EQ(events.size(), 1U);
  EXPECT_EQ(events[0].why, "epulsed has stopped");
  EXPECT_NE(events[0].text.find("epulsed has stopped"), std::string::npos) << events[0].text;
  EXPECT_EQ(engine.firing(), 0U);
}

// Whatever comes in: Fired and Resolved of a subject take turns, and what vanished is resolved.
// A reload of the configuration.
TEST(AlertEngine, TakesOverWhatItsRulesHaveInCommon) {
  AlertRule other = depth_rule();
  other.threshold = 600;
  AlertEngine before({depth_rule(), wakeup_rule()});
  const std::vector<Observation> observations = {{0, kSubject, 900, 1000},
                                                 {1, kSubject, 900, 1000}};
  before.interval(observations);
  before.interval(observations);
  ASSERT_EQ(before.firing(), 2U);
  AlertEngine after({other, wakeup_rule()});
  const std::map<size_t, size_t> taken = after.take_over(before, before.rules(), 1);
  EXPECT_EQ(taken, (std::map<size_t, size_t>{{1, 1}}));
  EXPECT_EQ(after.firing(), 1U);
  const auto ended = before.end([](size_t, const std::string&) { return "another configuration"; });
  ASSERT_EQ(ended.size(), 1U) << "the rule that has changed";
  EXPECT_EQ(ended[0].rule, 0U);
  const std::vector<Observation> still = {{1, kSubject, 900, 1000}};
  EXPECT_TRUE(after.interval(still).empty()) << "it is not news";
  const std::vector<Observation> well = {{1, kSubject, 1, 1000}};
  ASSERT_EQ(after.interval(well).size(), 1U) << "resolved, once it is";

  AlertEngine reordered({wakeup_rule(), depth_rule()});
  AlertEngine first({depth_rule(), wakeup_rule()});
  first.interval(observations);
  EXPECT_EQ(reordered.take_over(first, first.rules(), 1),
            (std::map<size_t, size_t>{{0, 1}, {1, 0}}));
  EXPECT_TRUE(first.end([](size_t, const std::string&) { return "x"; }).empty());
}

// What has been counted of an alarm that takes time to fire, and of one that takes time to clear.
TEST(AlertEngine, TakesOverAsMuchTimeWhereIntervalsHaveAnotherLength) {
  AlertRule timed = depth_rule();  // 10 s, and 10 s
  timed.for_intervals = timed.clear_intervals = 10;
  AlertRule timed_later = timed;
  timed_later.for_intervals = timed_later.clear_intervals = 40;
  const AlertRule counted = wakeup_rule();
  for (const bool fires : {false, true}) {
    AlertEngine before({timed, counted});
    for (int i = 0; i < (fires ? 10 : 6); ++i) feed(before, 900);
    for (int i = 0; fires && i < 6; ++i) feed(before, 1);
    AlertEngine after({timed_later, counted});
    EXPECT_EQ(after.take_over(before, after.rules(), 4).size(), 2U);
    for (int i = 0; i < 15; ++i) EXPECT_TRUE(feed(after, fires ? 1 : 900).empty()) << i;
    const auto events = feed(after, fires ? 1 : 900);
    ASSERT_EQ(events.size(), 1U) << "after 6 s in intervals of 1 s, and 16 of 250 ms";
    if (fires) {
      EXPECT_NE(events[0].text.find("it fired for 40 intervals"), std::string::npos)
          << events[0].text;
    }
  }
  AlertEngine quick({timed_later});
  for (int i = 0; i < 39; ++i) feed(quick, 900);
  AlertEngine slow({timed});
  slow.take_over(quick, slow.rules(), 0.25);
  EXPECT_EQ(feed(slow, 900).size(), 1U) << "after 9.75 s, and one more";
}

// Two intervals are two intervals, however long.
TEST(AlertEngine, CountsOfIntervalsAreTakenOverAsTheyAre) {
  AlertEngine before({depth_rule()});
  for (const double value : {900, 900, 1}) feed(before, value);
  AlertEngine after({depth_rule()});
  after.take_over(before, after.rules(), 10);
  EXPECT_TRUE(feed(after, 1).empty());
  EXPECT_EQ(feed(after, 1).size(), 1U) << "the third that is well";
}

TEST(AlertEngine, EventsTakeTurns) {
  std::mt19937 random(7);
  for (int trace = 0; trace < 200; ++trace) {
    AlertEngine engine({depth_rule()});
    bool firing = false;
    for (int i = 0; i < 200; ++i) {
      const auto events = random() % 16 == 0 ? engine.interval({})
                                             : feed(engine, static_cast<double>(random() % 1000));
      for (const AlertEvent& event : events) {
        EXPECT_EQ(event.kind == AlertEvent::Kind::kFired, !firing);
        firing = !firing;
      }
      EXPECT_EQ(engine.firing(), firing ? 1U : 0U);
    }
    engine.interval({});
    EXPECT_EQ(engine.firing(), 0U);
  }
}

}  // namespace
}  // namespace epulse::alerts
