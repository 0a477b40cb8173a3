#include "agent/model/cpu_set.hpp"

#include <gtest/gtest.h>

#include <random>

namespace epulse::model {
namespace {

std::string round_trip(std::string_view list) {
  const auto set = CpuSet::parse(list);
  return set ? set->to_string() : "malformed";
}

TEST(CpuSet, WritesTheKernelsListForm) {
  EXPECT_EQ(round_trip("0"), "0");
  EXPECT_EQ(round_trip("0-3,8"), "0-3,8");
  EXPECT_EQ(round_trip("8,0,1,2,3"), "0-3,8");
  EXPECT_EQ(round_trip("0-1023"), "0-1023");
  EXPECT_EQ(round_trip(""), "");
}

TEST(CpuSet, RefusesWhatIsNotAList) {
  for (const char* const list : {",", "1,", ",1", "1--2", "3-1", "-1", "1024", "0-1024", "a", "1 ",
                                 "1-", "99999999999", "1;2"}) {
    EXPECT_EQ(round_trip(list), "malformed") << list;
  }
}

TEST(CpuSet, AnySetSurvivesTextAndNativeForm) {
  std::mt19937 random(1);
  for (int round = 0; round < 500; ++round) {
    CpuSet set;
    const unsigned density = 1 + random() % 8;
    for (int cpu = 0; cpu < CpuSet::kCapacity; ++cpu) {
      if (random() % density == 0) set.add(cpu);
    }
    const auto parsed = CpuSet::parse(set.to_string());
    ASSERT_TRUE(parsed.has_value()) << set.to_string();
    EXPECT_EQ(*parsed, set);
    EXPECT_EQ(CpuSet::from_native(set.native()), set);
  }
}

}  // namespace
}  // namespace epulse::model
