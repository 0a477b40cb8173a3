#include "agent/tuners/placement.hpp"

#include <gtest/gtest.h>

#include "agent/tuners/improvement.hpp"

namespace epulse::tuners {
namespace {

using model::CpuSched;
using model::CpuSet;
using model::CpuTopology;
using model::Histogram;
using model::ThreadSched;

// CPUs 0 and 1 are one core, 2 another with the same cache, 3 with another cache, 4 of another
// node.
CpuTopology machine() {
  CpuTopology topology;
  const CpuSet cache = CpuSet::parse("0-2").value();
  topology.cpus[0] = {CpuSet::parse("0-1").value(), cache, 0};
  topology.cpus[1] = {CpuSet::parse("0-1").value(), cache, 0};
  topology.cpus[2] = {CpuSet::of(2), cache, 0};
  topology.cpus[3] = {CpuSet::of(3), CpuSet::of(3), 0};
  topology.cpus[4] = {CpuSet::of(4), CpuSet::of(4), 1};
  return topology;
}

ThreadSched thread_on(int cpu, double run_share) {
  ThreadSched thread;
  thread.cpu = cpu;
  thread.allowed = CpuSet::of(cpu);
  thread.run_share = run_share;
  return thread;
}

TEST(Placement, AThreadIsNotInItsOwnWay) {
  const ThreadSched thread = thread_on(0, 0.3);
  const CpuSched home{0, 0.9, 0.5};
  EXPECT_DOUBLE_EQ(others_share(home, thread), 0.6);
  EXPECT_DOUBLE_EQ(foreign_share(home), 0.4);
  EXPECT_DOUBLE_EQ(others_share({1, 0.9, 0.5}, thread), 0.9);
  EXPECT_DOUBLE_EQ(others_share({0, 0.2, 0.2}, thread), 0) << "clocks differ by a little";
}

TEST(Placement, OfIdleCpusTheNearestWhoseCoreIsFree) {
  const std::vector<CpuSched> cpus = {{0, 0.9, 0.2}, {1, 0, 0}, {2, 0, 0}, {3, 0, 0}, {4, 0, 0}};
  const ThreadSched thread = thread_on(0, 0.2);
  const CpuTopology topology = machine();
  std::vector<double> prices;
  prices.reserve(cpus.size());
  for (const CpuSched& cpu : cpus) prices.push_back(price(cpu, thread, 0, cpus, topology));
  EXPECT_LT(prices[2], prices[3]) << "its cache is left behind";
  EXPECT_LT(prices[3], prices[4]) << "and its memory";
  EXPECT_LT(prices[4], prices[1]) << "half of a core that a hog has";
  EXPECT_LT(prices[1], prices[0]);
  for (const CpuSched& cpu : cpus) {
    if (cpu.cpu == 0) continue;
    EXPECT_EQ(price(cpu, thread, 0, cpus, {}), 0) << "all alike";
  }
}

TEST(Placement, TheQuietestOfAMask) {
  const std::vector<CpuSched> cpus = {{0, 0.9, 0.8}, {1, 0.3, 0}, {2, 0.1, 0}};
  EXPECT_EQ(quietest(cpus, CpuSet::parse("0-1").value(), thread_on(0, 0.8))->cpu, 0);
  EXPECT_EQ(quietest(cpus, CpuSet::parse("0-1").value(), thread_on(2, 0))->cpu, 1);
  EXPECT_EQ(quietest(cpus, CpuSet::of(7), thread_on(0, 0)), nullptr);
}

Histogram values(uint64_t fast, uint64_t slow, uint64_t slow_ns) {
  Histogram histogram(model::kNsShape);
  histogram.record(50'000, fast);
  histogram.record(slow_ns, slow);
  return histogram;
}

TEST(Improvement, IsProvenByEnoughValuesOnly) {
  using Kind = Improvement::Kind;
  const auto kind = [](const Histogram& before, const Histogram& after) {
    return compare_p99(before, after, 0.2).kind;
  };
  EXPECT_EQ(kind(values(900, 100, 7'000'000), values(1000, 1, 7'000'000)), Kind::kProven);
  EXPECT_EQ(kind(values(900, 100, 7'000'000), values(900, 100, 7'000'000)), Kind::kAbsent);
  EXPECT_EQ(kind(values(900, 100, 7'000'000), values(900, 100, 6'000'000)), Kind::kAbsent)
      << "less than a fifth";
  EXPECT_EQ(kind(values(45, 5, 7'000'000), values(1000, 0, 1)), Kind::kUnclear) << "50 before";
  EXPECT_EQ(kind(values(900, 100, 7'000'000), values(99, 0, 1)), Kind::kUnclear) << "99 after";
  EXPECT_EQ(kind(values(98, 2, 7'000'000), values(100, 0, 1)), Kind::kUnclear)
      << "two of a hundred may have been chance";
  EXPECT_EQ(kind(values(9800, 200, 7'000'000), values(10'000, 0, 1)), Kind::kProven)
      << "two hundred of ten thousand were not";
  EXPECT_EQ(kind(Histogram(model::kNsShape), Histogram(model::kNsShape)), Kind::kUnclear);
}

TEST(Improvement, SaysWhatItCompared) {
  const Improvement result =
      compare_p99(values(900, 100, 7'000'000), values(1000, 1, 7'000'000), 0.2);
  EXPECT_NE(result.text.find("us before (1000 values), "), std::string::npos) << result.text;
  EXPECT_NE(result.text.find("us after (1001)"), std::string::npos) << result.text;
}

}  // namespace
}  // namespace epulse::tuners
