// Which rates a ramp tries, and what it finds, on servers that are formulas.
#include "tools/load/rate_search.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <random>
#include <vector>

#include "tools/load/expectation.hpp"
#include "tools/load/ramp.hpp"

namespace epulse::load {
namespace {

using Server = std::function<Verdict(double)>;

struct Search {
  RateSearch search;
  std::vector<double> probes;
};

Search run(const Server& server, const SearchBounds& bounds = {}) {
  Search run{RateSearch(bounds), {}};
  while (const std::optional<double> rate = run.search.next()) {
    EXPECT_GE(*rate, bounds.lowest);
    EXPECT_LE(*rate, bounds.highest);
    run.probes.push_back(*rate);
    run.search.tell(server(*rate));
    if (run.probes.size() > 200) ADD_FAILURE() << "does not end";
    if (run.probes.size() > 200) break;
  }
  return run;
}

Server up_to(double capacity) {
  return [capacity](double rate) { return rate <= capacity ? Verdict::kHeld : Verdict::kMissed; };
}

TEST(RateSearch, FindsEveryCapacityToThePrecisionAskedFor) {
  for (double capacity = 11; capacity < 900'000; capacity *= 1.37) {
    for (const double precision : {0.01, 0.05, 0.5}) {
      const Search found = run(up_to(capacity), {.precision = precision});
      ASSERT_TRUE(found.search.held() && found.search.not_held()) << capacity;
      EXPECT_LE(*found.search.held(), capacity);
      EXPECT_GT(*found.search.not_held(), capacity);
      EXPECT_LE(*found.search.not_held(), *found.search.held() * (1 + precision));
      // 10 doublings or 7 halvings at most, and the bisection of a factor of two.
      EXPECT_LE(found.probes.size(), 10 + 2 * 8U) << capacity;
    }
  }
}

TEST(RateSearch, TriesTheseRates) {
  const Search found = run(up_to(3000), {.start = 1000, .precision = 0.2});
  EXPECT_EQ(found.probes, (std::vector<double>{1000, 2000, 4000, 4000, 2828, 3363, 3363}));
  EXPECT_EQ(found.search.held(), 2828);
  EXPECT_EQ(found.search.not_held(), 3363);
}

TEST(RateSearch, RatesAreRound) {
  const Search slow = run(up_to(75), {.start = 50, .precision = 0.2});
  EXPECT_EQ(slow.probes, (std::vector<double>{50, 100, 100, 70.71, 84.09, 84.09}));
  const Search fast = run(up_to(110'000), {.start = 80'000, .precision = 0.2});
  EXPECT_EQ(fast.probes, (std::vector<double>{80'000, 160'000, 160'000, 113'100, 113'100, 95'120}));
}

TEST(RateSearch, AServerThatAlwaysHoldsIsTriedAtTheHighest) {
  const Search found = run(up_to(1e12), {.start = 1000, .highest = 5000});
  EXPECT_EQ(found.probes, (std::vector<double>{1000, 2000, 4000, 5000}));
  EXPECT_EQ(found.search.held(), 5000);
  EXPECT_FALSE(found.search.not_held());
}

TEST(RateSearch, AServerThatNeverHoldsIsTriedDownToTheLowest) {
  const Search found = run(up_to(0), {.start = 100, .lowest = 30});
  EXPECT_EQ(found.probes, (std::vector<double>{100, 100, 50, 50, 30, 30}));
  EXPECT_FALSE(found.search.held());
  EXPECT_EQ(found.search.not_held(), 30);
}

TEST(RateSearch, OneRateCanBeAllThereIs) {
  const SearchBounds bounds{.start = 70, .lowest = 70, .highest = 70};
  EXPECT_EQ(run(up_to(100), bounds).search.held(), 70);
  EXPECT_FALSE(run(up_to(50), bounds).search.held());
}

TEST(RateSearch, OneFailureIsNone) {
  int probes = 0;
  const Search found = run([&](double rate) {
    // Every other probe is disturbed.
    return ++probes % 2 == 1 ? Verdict::kMissed : up_to(3000)(rate);
  });
  EXPECT_LE(*found.search.held(), 3000);
  EXPECT_GT(*found.search.held(), 3000 / 1.06);
}

// A twentieth of the probes fails for no reason of the server's, and near its capacity it is a
// matter of luck: a logistic curve that goes from nine in ten to one in ten over a fifth.
TEST(RateSearch, NoiseHardlyMatters) {
  constexpr double kCapacity = 20'000;
  int good = 0;
  for (unsigned seed = 0; seed < 500; ++seed) {
    std::mt19937 numbers(seed);
    std::uniform_real_distribution<double> chance;
    const Search found = run([&](double rate) {
      const double holds = 0.95 / (1 + std::exp(4.4 * (rate / kCapacity - 1) / 0.2 * 2));
      return chance(numbers) < holds ? Verdict::kHeld : Verdict::kMissed;
    });
    good += std::abs(found.search.held().value_or(0) / kCapacity - 1) < 0.15 ? 1 : 0;
  }
  EXPECT_GE(good, 475);
}

// A generator that cannot do more: no rate beyond counts, and it is said why.
TEST(RateSearch, WhatIsUnsoundDoesNotCountAsHeld) {
  const auto bound = [](double server, double generator) {
    return run(
        [=](double rate) { return rate > generator ? Verdict::kUnsound : up_to(server)(rate); });
  };
  const Search by_generator = bound(1e12, 6000);
  EXPECT_LE(*by_generator.search.held(), 6000);
  EXPECT_GT(*by_generator.search.held(), 5700);
  EXPECT_TRUE(by_generator.search.generator_bound());
  const Search by_server = bound(5000, 30'000);
  EXPECT_GT(*by_server.search.held(), 4750);
  EXPECT_FALSE(by_server.search.generator_bound());
  EXPECT_TRUE(run([](double) { return Verdict::kUnsound; }).search.generator_bound());
}

TEST(Ramp, AProbeHoldsWhenItIsSoundAndFastAndWithoutError) {
  const Expectation target = *parse_expectation("p99<2ms");
  Counters counters;
  for (int k = 0; k < 1000; ++k) counters.latency.record(1'500'000);
  Result result;
  result.totals.add(counters);
  EXPECT_EQ(verdict_on(target, result), Verdict::kHeld);
  EXPECT_EQ(verdict_on(*parse_expectation("p99<1ms"), result), Verdict::kMissed);
  EXPECT_EQ(verdict_on(target, Result()), Verdict::kMissed);  // Nothing came.
  Result lost = result;
  lost.totals.errors[index_of(ErrorKind::kLost)] = 1;
  EXPECT_EQ(verdict_on(target, lost), Verdict::kMissed);
  Result saturated = result;
  saturated.threads = {{0.99, 0}};
  EXPECT_EQ(verdict_on(target, saturated), Verdict::kUnsound);
}

}  // namespace
}  // namespace epulse::load
