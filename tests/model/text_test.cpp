#include "agent/model/text.hpp"

#include <gtest/gtest.h>

#include "common/json_line.hpp"

namespace epulse::model {
namespace {

TEST(Text, Durations) {
  EXPECT_EQ(duration_text(0), "0ns");
  EXPECT_EQ(duration_text(999), "999ns");
  EXPECT_EQ(duration_text(1370), "1.37us");
  EXPECT_EQ(duration_text(9'999), "10.0us");
  EXPECT_EQ(duration_text(999'499), "999us");
  EXPECT_EQ(duration_text(999'600), "1.00ms");
  EXPECT_EQ(duration_text(12'000'000'000), "12.0s");
  EXPECT_EQ(duration_text(5'000'000'000'000), "5000s");
}

TEST(Text, Counts) {
  EXPECT_EQ(count_text(0), "0");
  EXPECT_EQ(count_text(7), "7");
  EXPECT_EQ(count_text(4.184), "4.18");
  EXPECT_EQ(count_text(12'345), "12.3k");
  EXPECT_EQ(count_text(2'500'000), "2.50M");
  EXPECT_EQ(count_text(7e12), "7000G");
}

TEST(Text, JsonIsEscaped) {
  EXPECT_EQ(json_text("a\"b\\c\n"), "\"a\\\"b\\\\c\\u000a\"");
  EXPECT_EQ(json_text(""), "\"\"");
  // What a terminal obeys: ESC, DEL, and CSI as one character.
  EXPECT_EQ(json_text("\x1b[\x7f\xc2\x9b"), "\"\\u001b[\\u007f\\u009b\"");
}

}  // namespace
}  // namespace epulse::model
