// What the load generator does for each message where it needs no detours.
#include <gtest/gtest.h>

#include <cstdint>
#include <map>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "server/ws/parser.hpp"
#include "tools/load/echo_frames.hpp"
#include "tools/load/in_flight.hpp"
#include "tools/load/message_sizes.hpp"
#include "tools/load/payload.hpp"

namespace epulse::load {
namespace {

using Bytes = std::vector<std::uint8_t>;

// What a server answers to the frames: as a parser of its own reads them, unmasked.
Bytes echo_of(Bytes frames, std::size_t& messages) {
  ws::Parser parser(ws::Role::kServer, MessageSizes::kMaxBytes);
  Bytes answers;
  std::span<std::uint8_t> input(frames);
  for (ws::Event event = parser.next(input); event.kind == ws::Event::Kind::kMessage;
       event = parser.next(input), ++messages) {
    const auto header = ws::encode_header({event.opcode, event.payload.size(), true, {}});
    answers.insert(answers.end(), header.view().begin(), header.view().end());
    answers.insert(answers.end(), event.payload.begin(), event.payload.end());
  }
  return answers;
}

TEST(EchoFrames, AServerReadsThemAndItsEchoIsTaken) {
  for (const char* text :
       {"0", "1", "3", "4", "7", "20", "125", "126", "65535", "65536", "0-300"}) {
    const MessageSizes sizes = MessageSizes::parse(text).value();
    for (const bool compressible : {false, true}) {
      const EchoFrames frames(7, sizes, compressible);
      RandomBits random;
      Bytes output;
      frames.append(output, 1000, 40, random);
      std::size_t messages = 0;
      Bytes answers = echo_of(output, messages);
      EXPECT_EQ(messages, 40U) << text;
      std::span<std::uint8_t> input(answers);
      EXPECT_EQ(frames.take(input, 1000, 25), 25U) << text;  // no more than are awaited
      EXPECT_EQ(frames.take(input, 1025, 100), 15U) << text;
      EXPECT_TRUE(input.empty()) << text;
    }
  }
}

void expect_no_change_is_taken(const MessageSizes& sizes, bool compressible) {
  const EchoFrames frames(3, sizes, compressible);
  RandomBits random;
  Bytes output;
  frames.append(output, 0, 5, random);
  std::size_t messages = 0;
  const Bytes answers = echo_of(output, messages);
  for (std::size_t k = 0; k < answers.size(); ++k) {
    Bytes changed = answers;
    changed[k] ^= 0x10U;
    std::span<std::uint8_t> input(changed);
    EXPECT_LT(frames.take(input, 0, 5), 5U) << sizes.text() << ' ' << k;
  }
  for (std::size_t size = 0; size < answers.size(); ++size) {
    Bytes cut(answers.begin(), answers.begin() + static_cast<std::ptrdiff_t>(size));
    std::span<std::uint8_t> input(cut);
    EXPECT_LT(frames.take(input, 0, 5), 5U) << sizes.text() << ' ' << size;
  }
}

TEST(EchoFrames, AChangeOfAnyByteIsNotTaken) {
  for (const char* text : {"23,200", "0", "1", "7", "8", "9", "20", "31", "125", "126"}) {
    expect_no_change_is_taken(MessageSizes::parse(text).value(), false);
    expect_no_change_is_taken(MessageSizes::parse(text).value(), true);
  }
}

TEST(EchoFrames, EachMessageHasAMaskOfItsOwn) {
  const MessageSizes sizes;
  RandomBits random;
  Bytes output;
  EchoFrames(0, sizes, false).append(output, 0, 5000, random);
  ASSERT_EQ(output.size(), 5000U * 26);
  std::set<std::string> masks;
  for (std::size_t at = 0; at < output.size(); at += 26) {
    masks.emplace(output.begin() + static_cast<std::ptrdiff_t>(at) + 2,
                  output.begin() + static_cast<std::ptrdiff_t>(at) + 6);
  }
  EXPECT_GT(masks.size(), 4980U);  // 2^32 / 5000^2: two alike are rare
}

TEST(MessageSizes, ReadsWhatItWrites) {
  for (const char* text : {"20", "0", "1073741824", "20,16384", "64-1024", "20:90,1024-16384:10"}) {
    const std::optional<MessageSizes> sizes = MessageSizes::parse(text);
    ASSERT_TRUE(sizes) << text;
    EXPECT_EQ(sizes->text(), text);
  }
  for (const char* text :
       {"", "x", "-5", "20,", "20:", "20:0", "30-20", "1073741825", "20 ", "1-2-3"}) {
    EXPECT_FALSE(MessageSizes::parse(text)) << text;
  }
}

TEST(MessageSizes, SharesAndRangesAreKept) {
  const MessageSizes sizes = MessageSizes::parse("20:75,100-199:25").value();
  EXPECT_EQ(sizes.min(), 20U);
  EXPECT_EQ(sizes.max(), 199U);
  EXPECT_DOUBLE_EQ(sizes.mean(), 0.75 * 20 + 0.25 * 149.5);
  std::map<std::uint32_t, int> seen;
  for (std::uint64_t sequence = 0; sequence < 100'000; ++sequence) {
    const std::uint32_t bytes = sizes.bytes(5, sequence);
    EXPECT_EQ(bytes, sizes.bytes(5, sequence));
    ++seen[bytes];
  }
  EXPECT_EQ(seen.size(), 101U);
  EXPECT_NEAR(seen[20], 75'000, 700);  // five standard deviations
  for (std::uint32_t bytes = 100; bytes < 200; ++bytes) EXPECT_NEAR(seen[bytes], 250, 80) << bytes;
  EXPECT_TRUE(MessageSizes::parse("20")->fixed());
  EXPECT_FALSE(sizes.fixed());
}

TEST(InFlight, WhatLeftTogetherIsTakenInRuns) {
  InFlight messages;
  messages.add({10, 0, 3});
  messages.add({10, 0, 2});
  messages.add({20, 5, 4});
  messages.add({30, 0, 0});
  EXPECT_EQ(messages.size(), 9U);
  std::vector<Awaited> runs;
  messages.take(6, [&](const Awaited& run) { runs.push_back(run); });
  ASSERT_EQ(runs.size(), 2U);
  EXPECT_EQ(runs[0].due_ns, 10U);
  EXPECT_EQ(runs[0].count, 5U);
  EXPECT_EQ(runs[1].sent_ns, 5U);
  EXPECT_EQ(runs[1].count, 1U);
  EXPECT_EQ(messages.size(), 3U);
  messages.clear();
  EXPECT_TRUE(messages.empty());
}

}  // namespace
}  // namespace epulse::load
