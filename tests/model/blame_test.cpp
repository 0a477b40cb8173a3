#include "agent/model/blame.hpp"

#include <gtest/gtest.h>

namespace epulse::model {
namespace {

TEST(Blame, IntervalsHaveWhatIsNewMostFirst) {
  BlameIntervals intervals;
  const std::vector<Blame> start = {{1, 10, "a", 100, 1}, {1, 11, "b", 500, 2}};
  EXPECT_EQ(intervals.advance(start).size(), 2U);
  const std::vector<Blame> later = {
      {1, 10, "a", 700, 3}, {1, 11, "b", 500, 2}, {2, 10, "a", 50, 1}};
  const std::vector<Blame> news = intervals.advance(later);
  ASSERT_EQ(news.size(), 2U);
  EXPECT_EQ(news[0].ns, 600U);
  EXPECT_EQ(news[0].times, 2U);
  EXPECT_EQ(news[1].victim, 2U);
}

TEST(Blame, OnePushedOutOfTheKernelsTableStartsAfresh) {
  BlameIntervals intervals;
  intervals.advance({{1, 10, "a", 1000, 9}});
  const std::vector<Blame> news = intervals.advance({{1, 10, "a", 30, 1}});
  ASSERT_EQ(news.size(), 1U);
  EXPECT_EQ(news[0].ns, 30U);
}

TEST(Blame, TextNamesTheWorst) {
  const std::vector<Blame> blames = by_culprit({{1, 10, "gzip", 30'000'000, 1},
                                                {2, 10, "gzip", 46'000'000, 1},
                                                {1, 0, "swapper/0", 2'000'000, 4},
                                                {1, 12, "c", 1, 1}});
  EXPECT_EQ(text_of(blames, 2'000'000'000, 2),
            "gzip[10] 38.0 ms/s, an idle CPU that was slow to wake 1.0 ms/s");
  EXPECT_EQ(text_of({}, 1, 2), "");
}

}  // namespace
}  // namespace epulse::model
