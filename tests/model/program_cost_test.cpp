#include "agent/probes/program_cost.hpp"

#include <gtest/gtest.h>

namespace epulse::probes {
namespace {

ProgramCost missed(const char* name, uint64_t runs) {
  return {.name = name, .runs = 0, .run_ns = 0, .missed = runs};
}

TEST(MissedRuns, OfAllProgramsAreAddedUp) {
  EXPECT_EQ(missed_runs(std::vector<ProgramCost>{}), 0U);
  EXPECT_EQ(missed_runs(std::vector{missed("on_create", 2), missed("on_wait", 5)}), 7U);
}

TEST(MissedRuns, OfAProgramWithASecondOneAreLostOnlyWhereBothMiss) {
  EXPECT_EQ(missed_runs(std::vector{missed("enter", 7), missed("enter_again", 0)}), 0U);
  EXPECT_EQ(missed_runs(std::vector{missed("enter_again", 3), missed("enter", 7)}), 3U);
  EXPECT_EQ(missed_runs(std::vector{missed("enter", 7), missed("exit", 1), missed("enter_again", 2),
                                    missed("exit_again", 4)}),
            3U);
}

}  // namespace
}  // namespace epulse::probes
