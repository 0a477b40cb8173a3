#include "agent/alerts/outbox.hpp"

#include <gtest/gtest.h>

#include <map>
#include <nlohmann/json.hpp>
#include <random>

#include "agent/alerts/metrics.hpp"
#include "agent/alerts/payload.hpp"

namespace epulse::alerts {
namespace {

constexpr OutboxLimits kLimits{
    .alarms_max = 4, .batch_max = 3, .resend_ms = 1000, .retry_ms_min = 100, .retry_ms_max = 400};

Alarm alarm(uint64_t id) {
  return {.id = id, .labels = {{"alertname", std::to_string(id)}}, .starts_unix_ms = 1000};
}
Alarm over(uint64_t id) {
  Alarm one = alarm(id);
  one.ends_unix_ms = 2000;
  return one;
}

TEST(Outbox, SaysNewsAtOnceAndRepeatsWhatFires) {
  Outbox box(kLimits);
  EXPECT_EQ(box.due_ms(), std::nullopt);
  box.put(alarm(1));
  EXPECT_LE(*box.due_ms(), 5U);
  box.delivered(box.batch(5), 5);
  EXPECT_EQ(box.due_ms(), 1005U);
  EXPECT_TRUE(box.batch(1004).empty());
  EXPECT_EQ(box.batch(1005).size(), 1U);
  EXPECT_EQ(box.unsaid(), 0U);
}

TEST(Outbox, SaysOnceThatItIsOver) {
  Outbox box(kLimits);
  box.put(alarm(1));
  box.delivered(box.batch(0), 0);
  box.put(over(1));
  ASSERT_EQ(box.batch(1).size(), 1U);
  EXPECT_FALSE(box.batch(1)[0].fires());
  box.delivered(box.batch(1), 1);
  EXPECT_EQ(box.due_ms(), std::nullopt);
}

// A receiver that will have all but one.
TEST(Outbox, OneThatIsRefusedHoldsUpNoOther) {
  OutboxLimits limits = kLimits;
  limits.alarms_max = 16;
  limits.batch_max = 8;
  Outbox box(limits);
  for (uint64_t id = 1; id <= 8; ++id) box.put(alarm(id));
  uint64_t now_ms = 0;
  for (int posts = 0; box.unsaid() > 1 && posts < 20; ++posts) {
    now_ms = std::max(now_ms, *box.due_ms());
    const auto batch = box.batch(now_ms);
    ASSERT_FALSE(batch.empty());
    const bool has_bad = std::find(batch.begin(), batch.end(), alarm(3)) != batch.end();
    if (has_bad) {
      EXPECT_EQ(box.refused(batch, now_ms), batch.size() == 1) << "news of one by itself";
    } else {
      box.delivered(batch, now_ms);
    }
  }
  EXPECT_EQ(box.unsaid(), 1U);
  EXPECT_EQ(box.refused(), 1U);
  EXPECT_LE(now_ms, 200U);
  EXPECT_EQ(box.failures(), 0U);
  const uint64_t again_ms = now_ms + limits.retry_ms_max;
  const auto again = box.batch(again_ms);
  ASSERT_FALSE(again.empty());
  EXPECT_EQ(again[0], alarm(3)) << "it is tried again";
  box.put(over(3));
  EXPECT_EQ(box.refused(), 0U) << "in its new state it has not been refused";
  ASSERT_EQ(box.batch(again_ms).size(), 1U);
}

// Those wait for all others, however many they are.
TEST(Outbox, ManyThatAreRefusedHoldUpNoOther) {
  Outbox box(OutboxLimits{});
  constexpr uint64_t kBad = 40;
  for (uint64_t id = 1; id <= kBad; ++id) box.put(alarm(id));
  uint64_t now_ms = 0;
  int posts = 0;
  const auto say = [&](uint64_t until_ms) {
    std::vector<Alarm> said;
    for (now_ms = std::max(now_ms, *box.due_ms()); now_ms < until_ms;
         now_ms = std::max(now_ms, *box.due_ms())) {
      const auto batch = box.batch(now_ms);
      const bool bad =
          std::any_of(batch.begin(), batch.end(), [](const Alarm& one) { return one.id <= kBad; });
      bad ? static_cast<void>(box.refused(batch, now_ms)) : box.delivered(batch, now_ms);
      if (!bad) said.insert(said.end(), batch.begin(), batch.end());
      if (++posts == 10'000) break;
    }
    return said;
  };
  EXPECT_TRUE(say(300'000).empty());
  EXPECT_EQ(box.refused(), kBad);
  EXPECT_LE(posts, 500) << "it is not asked without end";
  box.put(alarm(100));
  now_ms = 300'000;
  EXPECT_EQ(say(300'001).size(), 1U) << "at once";
  EXPECT_GE(say(421'000).size(), 2U) << "and again every minute";
}

// Measured anew while "it fires" was under way: it has been said, and is repeated in time.
TEST(Outbox, NewerFiguresAreNoNews) {
  Outbox box(kLimits);
  box.put(alarm(1));
  box.put(alarm(2));
  const auto batch = box.batch(0);
  box.refresh({{1, {5, 9}}, {7, {1, 1}}});
  box.delivered(batch, 0);
  EXPECT_EQ(box.unsaid(), 0U);
  EXPECT_EQ(box.due_ms(), 1000U);
  const auto again = box.batch(1000);
  ASSERT_EQ(again.size(), 2U);
  EXPECT_EQ(again[0].reading, (Reading{5, 9}));
  EXPECT_EQ(again[1].reading, Reading{});
  box.refresh({{2, {3, 3}}});
  EXPECT_TRUE(box.refused({again[1]}, 1000)) << "it is the same alarm";
  box.refresh({{2, {4, 4}}});
  EXPECT_EQ(box.refused(), 1U);
  box.put(over(1));
  box.refresh({{1, {6, 9}}});
  EXPECT_EQ(box.batch(1000)[0].reading, Reading{}) << "it is over";
}

// Resolved while "it fires" was under way: that must still be said.
TEST(Outbox, WhatIsResolvedDuringADeliveryIsSaid) {
  Outbox box(kLimits);
  box.put(alarm(1));
  const auto batch = box.batch(0);
  box.put(over(1));
  box.delivered(batch, 0);
  ASSERT_EQ(box.batch(0).size(), 1U);
  EXPECT_FALSE(box.batch(0)[0].fires());
}

TEST(Outbox, TriesAgainEverMoreRarely) {
  Outbox box(kLimits);
  box.put(alarm(1));
  uint64_t now = 0;
  for (const uint64_t pause : {100U, 200U, 400U, 400U, 400U}) {
    box.failed(now);
    EXPECT_EQ(box.due_ms(), now + pause);
    now += pause;
  }
  box.delivered(box.batch(now), now);
  EXPECT_EQ(box.failures(), 0U);
  box.put(alarm(2));
  EXPECT_LE(*box.due_ms(), now) << "not backing off any more";
}

TEST(Outbox, WithoutRoomWhatIsOverGoesFirst) {
  Outbox box(kLimits);
  for (const uint64_t id : {1U, 2U, 3U}) box.put(alarm(id));
  box.put(over(2));
  box.put(alarm(4));
  box.put(alarm(5));
  EXPECT_EQ(box.lost(), 1U);
  box.put(alarm(6));
  EXPECT_EQ(box.lost(), 2U) << "nothing is over: the oldest";
  const auto batch = box.batch(0);
  ASSERT_EQ(batch.size(), 3U) << "a batch has its limit, too";
  EXPECT_EQ(batch[0].id, 3U);
}

// A receiver that fails at random, alarms at random: each that fires has been heard to fire, each
// that is over to be over, and nothing stays behind.
TEST(Outbox, NothingIsLostOnAnUnreliableReceiver) {
  for (unsigned seed = 1; seed <= 100; ++seed) {
    std::mt19937 random(seed);
    Outbox box({.alarms_max = 1000, .batch_max = 7, .resend_ms = 500});
    std::map<uint64_t, bool> truth;  // id: fires
    std::map<uint64_t, bool> heard;
    uint64_t now = 0;
    for (int step = 0; step < 300; ++step) {
      now += random() % 200;
      const uint64_t id = 1 + random() % 40;
      if (!truth.contains(id)) {
        truth[id] = true;
        box.put(alarm(id));
      } else if (truth[id]) {
        truth[id] = false;
        box.put(over(id));
      }
      if (!box.due_ms() || *box.due_ms() > now) continue;
      const auto batch = box.batch(now);
      ASSERT_FALSE(batch.empty()) << "due, with nothing to say; seed " << seed;
      // Accepted or not, and the answer lost or not: heard twice does no harm.
      const bool accepted = random() % 3 != 0;
      if (accepted) {
        for (const Alarm& one : batch) heard[one.id] = one.fires();
      }
      if (accepted && random() % 4 != 0) {
        box.delivered(batch, now);
      } else {
        box.failed(now);
      }
    }
    for (int step = 0; box.unsaid() > 0 && step < 100; ++step) {
      now += 100'000;
      const auto batch = box.batch(now);
      for (const Alarm& one : batch) heard[one.id] = one.fires();
      box.delivered(batch, now);
    }
    EXPECT_EQ(heard, truth) << "seed " << seed;
    EXPECT_EQ(box.lost(), 0U);
  }
}

TEST(Payload, IsWhatAlertmanagerTakes) {
  Alarm one = alarm(1);
  one.labels["thread"] = "a\xff\"b";  // a name may be any bytes
  one.annotations["summary"] = "ü > 1";
  one.reading = {0.25, 12345.6};
  const std::string text =
      alertmanager_payload({one, over(2)}, 60'250, "http://example.org/?a=1&b=2");
  const auto json = nlohmann::json::parse(text);
  ASSERT_EQ(json.size(), 2U);
  EXPECT_EQ(json[0]["labels"]["thread"], "a\xef\xbf\xbd\"b");
  EXPECT_EQ(json[0]["annotations"]["summary"], "ü > 1");
  EXPECT_EQ(json[0]["annotations"]["value"], "0.25");
  EXPECT_EQ(json[0]["annotations"]["worst"], "12345.6");
  EXPECT_EQ(json[0]["startsAt"], "1970-01-01T00:00:01.000Z");
  EXPECT_EQ(json[0]["endsAt"], "1970-01-01T00:01:00.250Z") << "fires: in the future";
  EXPECT_EQ(json[1]["endsAt"], "1970-01-01T00:00:02.000Z");
  EXPECT_EQ(json[1]["generatorURL"], "http://example.org/?a=1&b=2");
  EXPECT_FALSE(
      nlohmann::json::parse(alertmanager_payload({one}, 0, ""))[0].contains("generatorURL"));
  // The clock was set back since it began: an end before the beginning would be refused.
  const auto back = nlohmann::json::parse(alertmanager_payload({one}, 500, ""));
  EXPECT_EQ(back[0]["endsAt"], "1970-01-01T00:00:02.000Z");
}

TEST(Metrics, EachNamesAFigureOfItsOwn) {
  model::WorkerStats worker;
  for (size_t i = 0; i < worker.stages.size(); ++i) worker.stages[i].record(1000 * (i + 1), 1);
  for (size_t i = 0; i < worker.items.size(); ++i) worker.items[i].record(100 * (i + 1), 2);
  for (size_t i = 0; i < worker.counters.size(); ++i) worker.counters[i] = 10 * (i + 1);
  const auto value = [&](std::string_view name, Statistic statistic) {
    return figure(metric(name), statistic, worker, 2).value;
  };
  EXPECT_NEAR(value("handler", Statistic::kP99), 5, 0.2) << "us";
  EXPECT_EQ(value("woken_to_running", Statistic::kMax), 2);
  EXPECT_EQ(value("depth", Statistic::kMean), 100);
  EXPECT_EQ(value("batch", Statistic::kP50), 400);
  EXPECT_EQ(value("empty_wakeups", Statistic::kRate), 35) << "70 in 2 s";
  EXPECT_EQ(figure(metric("depth"), Statistic::kMax, worker, 2).samples, 2U);
  EXPECT_EQ(figure(metric("waits"), Statistic::kRate, worker, 0).value, 0) << "no time";
  for (const Metric& one : metrics()) {
    EXPECT_EQ(&metric(one.name), &one) << one.name << " is there twice";
    EXPECT_FALSE(statistics_of(one).empty());
  }
}

TEST(Metrics, OfThreads) {
  model::ThreadSched thread;
  thread.delay_ns_mean = 2500;
  thread.delay_share = 0.25;
  thread.run_share = 0.5;
  thread.timeslices_per_second = 30;
  EXPECT_EQ(figure(metric("run_queue_delay"), thread, 2).value, 2.5);
  EXPECT_EQ(figure(metric("run_queue_delay"), thread, 2).samples, 60U);
  EXPECT_EQ(figure(metric("delay_share"), thread, 2).value, 0.25);
  EXPECT_EQ(figure(metric("run_share"), thread, 2).value, 0.5);
}

}  // namespace
}  // namespace epulse::alerts
