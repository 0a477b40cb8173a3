#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "tools/load/distribution.hpp"
#include "tools/load/duration_text.hpp"
#include "tools/load/error.hpp"
#include "tools/load/mark.hpp"
#include "tools/load/payload.hpp"
#include "tools/load/percentiles.hpp"
#include "tools/load/report.hpp"
#include "tools/load/schedule.hpp"
#include "tools/load/step_counters.hpp"
#include "tools/load/target.hpp"

namespace epulse::load {
namespace {

TEST(Distribution, ASlotHoldsItsValuesAndIsAThousandthWide) {
  for (std::uint64_t value = 0; value < std::uint64_t{1} << kMaxBits; value = value * 9 / 8 + 1) {
    const std::size_t slot = slot_of(value);
    ASSERT_LT(slot, kSlots);
    ASSERT_LE(slot_first_ns(slot), value);
    ASSERT_GE(slot_last_ns(slot), value);
    ASSERT_EQ(slot_of(slot_first_ns(slot)), slot) << value;
    ASSERT_EQ(slot_of(slot_last_ns(slot)), slot) << value;
    ASSERT_LE((slot_last_ns(slot) - slot_first_ns(slot)) * 1000, value) << value;
  }
  EXPECT_EQ(slot_of((std::uint64_t{1} << kMaxBits) - 1), kSlots - 1);
  EXPECT_EQ(slot_of(std::uint64_t{1} << 63U), kSlots - 1);
}

TEST(Distribution, QuantilesOfKnownValues) {
  LiveDistribution live;
  for (std::uint64_t i = 1; i <= 1000; ++i) live.record(i * 1000);
  const Distribution seen = live.snapshot();
  EXPECT_EQ(seen.total(), 1000U);
  EXPECT_NEAR(static_cast<double>(seen.quantile_ns(0.5)), 500e3, 500);
  EXPECT_NEAR(static_cast<double>(seen.quantile_ns(0.99)), 990e3, 990);
  EXPECT_LE(seen.quantile_ns(1), 1000'000U);  // never above the maximum
  EXPECT_EQ(seen.max_ns, 1000'000U);
  EXPECT_EQ(Distribution{}.quantile_ns(0.5), 0U);
}

TEST(Distribution, OneValueIsEveryQuantile) {
  LiveDistribution live;
  live.record(7);
  for (const double q : {0.0, 0.5, 0.999, 1.0}) EXPECT_EQ(live.snapshot().quantile_ns(q), 7U);
}

TEST(Distribution, ACurveEndsWithASingleOne) {
  LiveDistribution live;
  for (std::uint64_t k = 1; k <= 1000; ++k) live.record(k);
  const std::vector<Percentile> curve = percentile_curve(live.snapshot());
  ASSERT_EQ(curve.size(), 3 * 6 + 1 + 1U);
  const auto expect = [&](std::size_t at, double share, std::uint64_t ns) {
    EXPECT_EQ(curve[at].share, share);
    EXPECT_EQ(curve[at].ns, ns);
  };
  expect(0, 0, 1);
  expect(1, 0.25, 250);
  expect(2, 0.5, 500);
  expect(6, 0.9, 900);
  expect(17, 0.9985, 999);
  expect(18, 0.999, 999);
  expect(19, 1, 1000);
  EXPECT_TRUE(percentile_curve({}).empty());
  live.record(5);
  EXPECT_EQ(percentile_curve(live.snapshot()).back().ns, 1000U);
}

TEST(Distribution, AnIntervalHoldsOnlyWhatCameInIt) {
  LiveDistribution live;
  for (int i = 0; i < 100; ++i) live.record(1'000'000);
  const Distribution before = live.snapshot();
  EXPECT_EQ(live.take_interval_max(), 1'000'000U);
  for (int i = 0; i < 10; ++i) live.record(50);
  const Distribution interval = live.snapshot().since(before, live.take_interval_max());
  EXPECT_EQ(interval.total(), 10U);
  EXPECT_EQ(interval.max_ns, 50U);
  EXPECT_EQ(interval.quantile_ns(0.99), 50U);
  EXPECT_EQ(live.snapshot().max_ns, 1'000'000U);
}

TEST(Payload, IsRecognisedAndNothingElseIs) {
  for (const bool letters : {false, true}) {
    for (std::size_t size = 0; size < 100; ++size) {
      std::vector<std::uint8_t> payload(size);
      fill_payload(payload, 3, 12345, letters);
      EXPECT_TRUE(is_payload(payload, 3, 12345, letters));
      EXPECT_EQ(is_payload(payload, 3, 12346, letters), size == 0);
      // The number is the same for all connections; the pattern behind it is not.
      EXPECT_EQ(is_payload(payload, 4, 12345, letters), size <= 8);
      if (size >= 16) {
        EXPECT_FALSE(is_payload(payload, 0x30003, 12345, letters));
      }
      for (std::size_t i = 0; i < size; ++i) {
        payload[i] ^= 1U;
        EXPECT_FALSE(is_payload(payload, 3, 12345, letters)) << i << " of " << size;
        payload[i] ^= 1U;
      }
    }
  }
}

// What `connections` have due in a step, in order.
std::vector<std::uint64_t> due_in(const Schedule& schedule, std::size_t step,
                                  std::uint32_t connections) {
  std::vector<std::uint64_t> due;
  for (std::uint32_t c = 0; c < connections; ++c) {
    for (std::uint64_t k = 0; const auto ns = schedule.due_ns(step, c, k); ++k) due.push_back(*ns);
  }
  std::sort(due.begin(), due.end());
  return due;
}

TEST(Schedule, EvenDistancesAndExactCount) {
  const std::vector<std::uint64_t> due = due_in(Schedule({1000}, 1'000'000'000, 7), 0, 7);
  ASSERT_EQ(due.size(), 1000U);
  for (std::size_t i = 0; i < due.size(); ++i) EXPECT_EQ(due[i], i * 1'000'000);
}

TEST(Schedule, EachStepHasItsOwn) {
  const Schedule schedule({1000, 3000, 0.5}, 333'000'000, 7);
  ASSERT_EQ(schedule.steps(), 3U);
  EXPECT_EQ(due_in(schedule, 0, 7).size(), 333U);
  const std::vector<std::uint64_t> due = due_in(schedule, 1, 7);
  ASSERT_EQ(due.size(), 999U);
  for (std::size_t i = 0; i < due.size(); ++i) {
    EXPECT_EQ(due[i], 333'000'000 + i * 1'000'000 / 3) << i;
  }
  EXPECT_EQ(due_in(schedule, 2, 7), std::vector<std::uint64_t>{666'000'000});
}

// A message counts where it was due, whenever its answer comes.
TEST(StepCounters, ByTheTimeThatAMessageWasDue) {
  std::vector<Counters> all(3);
  StepCounters counters(all, 100);
  EXPECT_EQ(&counters.at(5000), &all[0]);  // before the start
  counters.start(1000);
  EXPECT_EQ(&counters.at(1000), &all[0]);
  EXPECT_EQ(&counters.at(1099), &all[0]);
  EXPECT_EQ(&counters.at(1100), &all[1]);
  EXPECT_EQ(&counters.at(1299), &all[2]);
  EXPECT_EQ(&counters.at(9000), &all[2]);  // after the end
  EXPECT_EQ(&counters.at(10), &all[0]);
  EXPECT_EQ(&counters.first(), &all[0]);
}

TEST(Mark, BetweenTwoIsWhatCameInBetween) {
  const Mark begin{1'000'000'000, 1'000'000'000, 100, {{5'000'000, 1'000'000}}};
  const Mark end{3'000'000'000, 3'100'000'000, 500, {{215'000'000, 421'000'000}}};
  Totals totals;
  totals.received = 700;  // of messages due in between; some of the answers came later
  const Result result = between(begin, end, totals);
  EXPECT_EQ(result.elapsed_s, 2);
  EXPECT_EQ(result.rate(), 200);
  EXPECT_EQ(result.totals.received, 700U);
  ASSERT_EQ(result.threads.size(), 1U);
  EXPECT_DOUBLE_EQ(result.threads[0].running, 0.1);
  EXPECT_DOUBLE_EQ(result.threads[0].waiting, 0.2);
  EXPECT_TRUE(between(begin, {3'000'000'000, 3'000'000'000, 100, {}}, {}).threads.empty());
}

TEST(Target, Urls) {
  const Target full = parse_url("ws://example.org:9001/chat?x=1");
  EXPECT_EQ(full.host, "example.org");
  EXPECT_EQ(full.port, "9001");
  EXPECT_EQ(full.path, "/chat?x=1");
  EXPECT_EQ(full.authority, "example.org:9001");
  EXPECT_EQ(parse_url("ws://host").port, "80");
  EXPECT_FALSE(parse_url("ws://host").tls);
  EXPECT_EQ(parse_url("wss://host").port, "443");
  EXPECT_EQ(parse_url("wss://host:8443/x").port, "8443");
  EXPECT_EQ(parse_url("wss://host:8443/x").path, "/x");
  EXPECT_TRUE(parse_url("wss://host").tls);
  EXPECT_EQ(parse_url("ws://host").path, "/");
  EXPECT_EQ(parse_url("ws://[::1]:5/").host, "::1");
  EXPECT_EQ(parse_url("ws://[::1]:5/").port, "5");
  EXPECT_FALSE(full.raw);
  EXPECT_TRUE(parse_url("tcp://host:7").raw);
  EXPECT_EQ(parse_url("tcp://host:7").authority, "host:7");
  for (const char* url :
       {"http://host/", "host", "tcp://", "ws://", "ws://:80/", "wss://", "wss:///", "ws://h:port/",
        "ws://h:/", "ws://h:99999/", "ws://[::1/", "ws://h/a b", "ws://h/#x"}) {
    EXPECT_THROW(parse_url(url), Error) << url;
  }
}

TEST(Report, Durations) {
  EXPECT_EQ(duration_text(0), "0 us");
  EXPECT_EQ(duration_text(85'400), "85 us");
  EXPECT_EQ(duration_text(1'230'000), "1.23 ms");
  EXPECT_EQ(duration_text(4'500'000'000), "4.5 s");
}

TEST(Report, SaysWhenTheGeneratorWasLate) {
  Counters counters;
  for (int i = 0; i < 100; ++i) {
    counters.latency.record(900'000);
    counters.lag.record(10'000);
  }
  Result fine;
  fine.totals.add(counters);
  EXPECT_FALSE(generator_was_late(fine));
  for (int i = 0; i < 10; ++i) counters.lag.record(800'000);
  Result result;
  result.totals.add(counters);
  EXPECT_TRUE(generator_was_late(result));
  EXPECT_NE(summary_text({}, result).find("unsound      epulse-load itself was late"),
            std::string::npos);
  EXPECT_NE(summary_json({}, result).find("\"generator_late\":true"), std::string::npos);
}

}  // namespace
}  // namespace epulse::load
