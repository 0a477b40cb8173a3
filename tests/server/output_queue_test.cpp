#include "server/engine/output_queue.hpp"

#include <gtest/gtest.h>

#include <array>
#include <memory>

namespace epulse::server {
namespace {

// Takes the whole queue out, `step` bytes at a time, through gather() and consume().
Bytes drain(OutputQueue& queue, std::size_t step) {
  Bytes all;
  std::array<iovec, 4> parts{};
  while (!queue.empty()) {
    std::size_t left = step;
    const std::size_t used = queue.gather(parts);
    std::size_t taken = 0;
    for (const iovec& part : std::span(parts).first(used)) {
      const std::size_t n = std::min(left, part.iov_len);
      const auto* data = static_cast<const std::uint8_t*>(part.iov_base);
      all.insert(all.end(), data, data + n);
      left -= n;
      taken += n;
    }
    queue.consume(taken);
  }
  return all;
}

TEST(OutputQueue, KeepsOrderOfCopiesAndSharedWhateverTheSteps) {
  for (std::size_t step = 1; step < 50; ++step) {
    OutputQueue queue;
    Bytes expected;
    for (std::uint8_t i = 0; i < 100; ++i) {
      const Bytes bytes(i % 7, i);
      if (i % 3 == 0) {
        queue.append_shared(std::make_shared<const Bytes>(bytes));
      } else {
        queue.append(bytes);
      }
      expected.insert(expected.end(), bytes.begin(), bytes.end());
    }
    EXPECT_EQ(queue.bytes(), expected.size());
    ASSERT_EQ(drain(queue, step), expected) << step;
  }
}

TEST(OutputQueue, LetsGoOfASharedBufferAsSoonAsItIsSent) {
  OutputQueue queue;
  const auto first = std::make_shared<const Bytes>(1000, std::uint8_t{1});
  const auto second = std::make_shared<const Bytes>(1000, std::uint8_t{2});
  queue.append_shared(first);
  queue.append_shared(second);
  EXPECT_EQ(first.use_count(), 2);
  queue.consume(999);
  EXPECT_EQ(first.use_count(), 2);
  queue.consume(1);
  EXPECT_EQ(first.use_count(), 1);
  EXPECT_EQ(second.use_count(), 2);
  queue.clear();
  EXPECT_EQ(second.use_count(), 1);
}

TEST(OutputQueue, SmallSharedBuffersAreCopiedIntoOnePiece) {
  OutputQueue queue;
  const auto tiny = std::make_shared<const Bytes>(3, std::uint8_t{7});
  for (int i = 0; i < 10'000; ++i) queue.append_shared(tiny);
  EXPECT_EQ(tiny.use_count(), 1);
  EXPECT_EQ(queue.bytes(), 30'000U);
  EXPECT_LE(queue.table(), 8U);
  std::array<iovec, 8> parts{};
  EXPECT_EQ(queue.gather(parts), 1U);
}

TEST(OutputQueue, GrowsNotUnderABacklogThatNeverEmpties) {
  OutputQueue queue;
  const auto bytes = std::make_shared<const Bytes>(3, std::uint8_t{1});
  queue.append_shared(bytes);
  for (int i = 0; i < 100'000; ++i) {
    queue.append_shared(bytes);
    queue.consume(3);
  }
  EXPECT_EQ(queue.bytes(), 3U);
  EXPECT_LE(bytes.use_count(), 2);
  std::array<iovec, 8> parts{};
  EXPECT_EQ(queue.gather(parts), 1U);
}

}  // namespace
}  // namespace epulse::server
