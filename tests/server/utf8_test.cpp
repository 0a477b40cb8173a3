#include "server/ws/utf8.hpp"

#include <gtest/gtest.h>

#include <random>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/utf8.hpp"

namespace epulse::ws {
namespace {

std::span<const std::uint8_t> view(std::string_view text) {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

bool valid(std::string_view text) {
  Utf8Validator utf8;
  return utf8.feed(view(text)) && utf8.complete();
}

const std::vector<std::string> kValid = {
    "",
    "plain ASCII that is longer than a machine word",
    std::string(1, '\0'),
    "\x7F",
    "\xC2\x80",          // U+0080, the first of two bytes
    "\xDF\xBF",          // U+07FF
    "\xE0\xA0\x80",      // U+0800
    "\xED\x9F\xBF",      // U+D7FF, the last before the surrogates
    "\xEE\x80\x80",      // U+E000, the first after them
    "\xEF\xBF\xBF",      // U+FFFF
    "\xF0\x90\x80\x80",  // U+10000
    "\xF4\x8F\xBF\xBF",  // U+10FFFF
    "\xCE\xBA\xE1\xBD\xB9\xCF\x83\xCE\xBC\xCE\xB5",
    "eight...\xE2\x82\xAC and \xF0\x9F\x98\x80 and again ASCII",
};

const std::vector<std::string> kInvalid = {
    "\x80",              // a continuation byte alone
    "\xBF",              //
    "\xC0\x80",          // overlong U+0000
    "\xC1\xBF",          // overlong U+007F
    "\xE0\x9F\xBF",      // overlong U+07FF
    "\xF0\x8F\xBF\xBF",  // overlong U+FFFF
    "\xED\xA0\x80",      // U+D800
    "\xED\xBF\xBF",      // U+DFFF
    "\xF4\x90\x80\x80",  // U+110000
    "\xF5\x80\x80\x80",  //
    "\xFE",
    "\xFF",
    "\xC2\x41",          // too few continuation bytes
    "\xE2\x82\x41",      //
    "\xF0\x9F\x98\x41",  //
    "\xC2\x80\x80",      // one too many
    "twelve bytes\xFF and more",
};

const std::vector<std::string> kUnfinished = {"\xC2",     "\xE2",         "\xE2\x82",    "\xF0",
                                              "\xF0\x9F", "\xF0\x9F\x98", "text\xF0\x9F"};

TEST(Utf8, Tables) {
  for (const std::string& text : kValid) EXPECT_TRUE(valid(text)) << text;
  for (const std::string& text : kInvalid) EXPECT_FALSE(valid(text)) << text;
}

TEST(Utf8, UnfinishedIsNotWrongYetButNotComplete) {
  for (const std::string& text : kUnfinished) {
    Utf8Validator utf8;
    EXPECT_TRUE(utf8.feed(view(text))) << text;
    EXPECT_FALSE(utf8.complete()) << text;
  }
}

TEST(Utf8, SplitAtEveryByteEqualsTheWhole) {
  std::vector<std::string> all = kValid;
  all.insert(all.end(), kInvalid.begin(), kInvalid.end());
  for (const std::string& text : all) {
    for (std::size_t cut = 0; cut <= text.size(); ++cut) {
      Utf8Validator utf8;
      const bool first = utf8.feed(view(text).first(cut));
      const bool second = utf8.feed(view(text).subspan(cut));
      EXPECT_EQ(first && second && utf8.complete(), valid(text)) << text << " at " << cut;
      EXPECT_TRUE(first || !second) << "what was wrong became right";
    }
  }
}

TEST(Utf8, FailsAtTheFirstByteThatCannotBeMended) {
  Utf8Validator utf8;
  EXPECT_TRUE(utf8.feed(view("\xED")));
  EXPECT_FALSE(utf8.feed(view("\xA0")));  // A surrogate, before its last byte.
  Utf8Validator other;
  EXPECT_TRUE(other.feed(view("\xF4")));
  EXPECT_FALSE(other.feed(view("\x90")));
}

TEST(Utf8, OneOtherByteIsSeenWhereverItIs) {
  for (std::size_t size = 1; size < 200; size += 1 + size / 40) {
    for (std::size_t at = 0; at < size; ++at) {
      std::string text(size, 'a');
      text[at] = '\x80';
      EXPECT_FALSE(valid(text)) << at << " of " << size;
      text[at] = '\xC3';
      EXPECT_FALSE(valid(text)) << at << " of " << size;  // a letter follows, or nothing
      if (at + 1 == size) continue;
      text[at + 1] = '\xA9';
      EXPECT_TRUE(valid(text)) << at << " of " << size;
    }
  }
}

TEST(Utf8, EveryCharacterThereIs) {
  for (std::uint32_t c = 0; c <= 0x10FFFF; ++c) {
    const auto byte = [](std::uint32_t value) { return static_cast<char>(value); };
    std::string text;
    if (c < 0x80) {
      text = {byte(c)};
    } else if (c < 0x800) {
      text = {byte(0xC0 | c >> 6U), byte(0x80 | (c & 63U))};
    } else if (c < 0x10000) {
      text = {byte(0xE0 | c >> 12U), byte(0x80 | (c >> 6U & 63U)), byte(0x80 | (c & 63U))};
    } else {
      text = {byte(0xF0 | c >> 18U), byte(0x80 | (c >> 12U & 63U)), byte(0x80 | (c >> 6U & 63U)),
              byte(0x80 | (c & 63U))};
    }
    const bool surrogate = c >= 0xD800 && c <= 0xDFFF;
    ASSERT_EQ(valid(text), !surrogate) << c;
  }
}

// What RFC 3629 section 4 allows, character by character.
bool valid_by_characters(std::string_view text) {
  while (!text.empty()) {
    const std::size_t bytes = utf8_bytes(text);
    if (bytes == 0) return false;
    text.remove_prefix(bytes);
  }
  return true;
}

std::string any_text(std::mt19937& random, std::size_t bytes) {
  static const std::vector<std::string> kCharacters = {"a",
                                                       "\x7F",
                                                       "\xC2\x80",
                                                       "\xDF\xBF",
                                                       "\xE0\xA0\x80",
                                                       "\xED\x9F\xBF",
                                                       "\xEE\x80\x80",
                                                       "\xE2\x82\xAC",
                                                       "\xF0\x90\x80\x80",
                                                       "\xF0\x9F\x98\x80",
                                                       "\xF4\x8F\xBF\xBF"};
  const std::size_t kinds = 1 + random() % kCharacters.size();
  std::string text;
  while (text.size() < bytes) text += kCharacters[random() % kinds];
  return text;
}

// Vectors see 32 bytes at a time, and three of those before.
TEST(Utf8, LongTextsAreJudgedAsByCharacters) {
  std::mt19937 random(27);
  int wrong = 0;
  for (int k = 0; k < 200'000; ++k) {
    std::string text = any_text(random, random() % 150);
    ASSERT_TRUE(valid(text));
    if (text.empty()) continue;
    const std::size_t at = random() % text.size();
    switch (random() % 4) {
      case 0:
        text[at] = static_cast<char>(random());
        break;
      case 1:
        text.erase(at, 1);
        break;
      case 2:
        text.insert(at, 1, static_cast<char>(0x80 | random() % 0x80));
        break;
      default:
        text.resize(at);
    }
    const bool right = valid_by_characters(text);
    wrong += right ? 0 : 1;
    ASSERT_EQ(valid(text), right) << ::testing::PrintToString(text);
    Utf8Validator utf8;
    const std::size_t cut = random() % (text.size() + 1);
    const bool both = utf8.feed(view(text).first(cut)) && utf8.feed(view(text).subspan(cut));
    ASSERT_EQ(both && utf8.complete(), right) << cut << ' ' << ::testing::PrintToString(text);
  }
  EXPECT_GT(wrong, 50'000);
}

// In the middle of characters of every length, at every place of a vector.
TEST(Utf8, WhatIsWrongIsSeenAtEveryPlace) {
  for (const std::string around : {"a", "\xC3\xA9", "\xE2\x82\xAC", "\xF0\x9F\x98\x80"}) {
    for (std::size_t before = 0; before < 70; ++before) {
      std::string head(before % around.size(), 'x');
      while (head.size() < before) head += around;
      std::string tail;
      while (tail.size() < 40) tail += around;
      const auto valid_between = [&](const std::string& text) {
        return valid(std::string(head).append(text).append(tail));
      };
      for (const std::string& text : kInvalid) EXPECT_FALSE(valid_between(text)) << before;
      for (const std::string& text : kUnfinished) EXPECT_FALSE(valid_between(text)) << before;
      for (const std::string& text : kValid) EXPECT_TRUE(valid_between(text)) << before;
      Utf8Validator utf8;
      EXPECT_TRUE(utf8.feed(view(head + "\xF0\x9F"))) << "not wrong yet";
      EXPECT_FALSE(utf8.feed(view("a"))) << "but now";
    }
  }
}

// A character that is not finished, one that begins behind it, and what finishes that one.
TEST(Utf8, NothingUnfinishedIsForgottenForWhatFollows) {
  for (const std::string first : {"\xC3", "\xE2", "\xE2\x82", "\xF0", "\xF0\x9F", "\xF0\x9F\x98"}) {
    for (const auto& [second, rest] :
         std::vector<std::pair<std::string, std::string>>{{"\xC3", "\xA9"},
                                                          {"\xE2", "\x82\xAC"},
                                                          {"\xE2\x82", "\xAC"},
                                                          {"\xF0\x9F\x98", "\x80"}}) {
      for (std::size_t before = 0; before < 140; ++before) {
        std::string head = "\xC3\xA9";
        head.append(before, 'a').append(first).append(second);
        Utf8Validator utf8;
        EXPECT_FALSE(utf8.feed(view(head))) << before << ::testing::PrintToString(head);
        EXPECT_FALSE(utf8.feed(view(rest)));
      }
    }
  }
}

// The bytes that fail are known as soon as they are there.
TEST(Utf8, FailsFastBehindALongText) {
  for (std::size_t size = 0; size < 100; ++size) {
    std::string text;
    while (text.size() < size) text += "\xE2\x82\xAC";
    Utf8Validator utf8;
    EXPECT_FALSE(utf8.feed(view(text + "\xED\xA0"))) << size;
  }
}

// Of each length, with something else than ASCII at each place.
TEST(Utf8, WholeTextsAreFoundRightOrWrongWhereverItIs) {
  for (std::size_t size = 0; size <= 70; ++size) {
    const std::string text(size, 'x');
    EXPECT_TRUE(is_utf8(view(text)));
    for (std::size_t i = 0; i < size; ++i) {
      std::string other = text;
      other[i] = '\xFF';
      EXPECT_FALSE(is_utf8(view(other))) << size << ' ' << i;
      other[i] = '\xC3';
      EXPECT_FALSE(is_utf8(view(other))) << size << ' ' << i;
      if (i + 1 == size) continue;
      other[i + 1] = '\xA9';
      EXPECT_TRUE(is_utf8(view(other))) << size << ' ' << i;
    }
  }
}

}  // namespace
}  // namespace epulse::ws
