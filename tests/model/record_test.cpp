#include <gtest/gtest.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <limits>

#include "agent/error.hpp"
#include "agent/export/byte_stream.hpp"
#include "agent/export/connection_block.hpp"
#include "agent/export/record_reader.hpp"
#include "agent/export/record_writer.hpp"
#include "agent/export/wait_block.hpp"
#include "tests/agent/temp_dir.hpp"
#include "tests/fuzz/record_blocks.hpp"
#include "tests/fuzz/recording.hpp"

namespace epulse::record {
namespace {

using fuzz::join_record_file;
using fuzz::parse_recording;
using fuzz::RecordBlock;
using fuzz::Recording;
using fuzz::same_contents;
using fuzz::split_record_file;

model::EpollSnapshot interval(uint64_t waits) {
  model::EpollSnapshot result;
  result.time_ns = 1'000'000'000;
  result.duration_ns = 500'000'000;
  result.losses.waits_dropped = 2;
  result.losses.targets_dropped = 3;
  result.losses.waits_dropped_by_cpu = {0, 2};
  result.losses.runs_missed = 5;
  result.detailed_ns = 100'000'000;
  model::WorkerStats worker;
  worker.key = {0xffff888012345678, 4711, -1, 99, 4710};
  worker.max_events = 128;
  worker.counters[EPOLL_COUNTER_WAITS] = waits;
  worker.stages[EPOLL_STAGE_HANDLER].record(12'345, waits);
  worker.stages[EPOLL_STAGE_HANDLER].record(1ULL << 50);
  worker.items[EPOLL_ITEMS_LISTED].record(0);
  worker.items[EPOLL_ITEMS_LISTED].record(1U << 21);
  result.workers.push_back(worker);
  return result;
}

epoll_wait_record wait_record(uint64_t time_ns) {
  epoll_wait_record wait{};
  wait.time_ns = time_ns;
  wait.epoll_id = 0xffff888012345678;
  wait.tid = 4711;
  wait.epfd = -1;
  wait.stage_ns[EPOLL_STAGE_WOKEN_TO_RUNNING] = 4'850'000;
  wait.items[EPOLL_ITEMS_LISTED] = 812;
  wait.reasons = EPOLL_WAIT_DEEP;
  wait.cpu = 1;
  return wait;
}

// Meta, two intervals, waits, end.
std::string contents() {
  Recording first;
  first.meta = {{"target", "redis-server[4711]"}};
  first.names = {{4710, "redis"}, {4711, "redis-server"}};
  first.total = interval(5);
  first.waits = {wait_record(2'000'000'000), wait_record(1'999'999'999)};
  Recording second;
  second.total = interval(7);
  std::vector<RecordBlock> blocks = split_record_file(fuzz::encoded(first));
  blocks.insert(blocks.begin() + 2, split_record_file(fuzz::encoded(second))[1]);
  return join_record_file(blocks);
}

// Where each block begins; the last: where the file ends.
std::vector<size_t> block_starts(const std::string& whole) {
  std::vector<size_t> starts{kMagic.size()};
  for (const RecordBlock& block : split_record_file(whole)) {
    starts.push_back(starts.back() + kBlockHeaderBytes + block.payload.size());
  }
  return starts;
}

// The file of all blocks but one.
Recording without_block(const std::string& whole, size_t index) {
  std::vector<RecordBlock> blocks = split_record_file(whole);
  blocks.erase(blocks.begin() + static_cast<ptrdiff_t>(index));
  return parse_recording(join_record_file(blocks));
}

TEST(Record, ComesBackAsWritten) {
  const Recording recording = parse_recording(contents());
  EXPECT_TRUE(recording.condition.whole()) << text_of(recording.condition);
  EXPECT_EQ(text_of(recording.condition), "");
  EXPECT_EQ(recording.meta.at("target"), "redis-server[4711]");
  EXPECT_EQ(recording.names.at(4711), "redis-server");
  EXPECT_EQ(recording.names.at(4710), "redis");
  EXPECT_EQ(recording.intervals, 2U);
  EXPECT_EQ(recording.total.duration_ns, 1'000'000'000U);
  EXPECT_EQ(recording.total.losses.waits_dropped, 4U);
  EXPECT_EQ(recording.total.losses.targets_dropped, 6U);
  EXPECT_EQ(recording.total.losses.waits_dropped_by_cpu, (std::vector<uint64_t>{0, 4}));
  EXPECT_EQ(recording.total.losses.runs_missed, 10U);
  EXPECT_EQ(recording.total.detailed_ns, 200'000'000U);
  ASSERT_EQ(recording.total.workers.size(), 1U);
  const model::WorkerStats& worker = recording.total.workers[0];
  EXPECT_EQ(worker.key, interval(5).workers[0].key);
  EXPECT_EQ(worker.waits(), 12U);
  EXPECT_EQ(worker.stages[EPOLL_STAGE_HANDLER].count(), 14U);
  EXPECT_EQ(worker.stages[EPOLL_STAGE_HANDLER].max(), 1ULL << 50);
  EXPECT_EQ(worker.items[EPOLL_ITEMS_LISTED].count(), 4U);
  ASSERT_EQ(recording.waits.size(), 2U);
  const epoll_wait_record expected = wait_record(1'999'999'999);
  EXPECT_EQ(memcmp(&recording.waits[1], &expected, sizeof(expected)), 0);
}

// Not put together by the test: the writer's own bytes.
TEST(Record, WhatTheWriterWroteIsWhole) {
  Recording written;
  written.meta = {{"target", "redis-server[4711]"}};
  written.total = interval(5);
  written.waits = {wait_record(2'000'000'000)};
  for (uint16_t port = 1; port <= 5'000; ++port) {  // more than a block takes
    written.connections.push_back(
        {0xffff888012345678 + port % 3, "127.0.0.1:9001", "[2001:db8::1]:" + std::to_string(port)});
  }
  const Recording again = parse_recording(fuzz::encoded(written));
  EXPECT_TRUE(again.condition.whole()) << text_of(again.condition);
  EXPECT_TRUE(same_contents(again, written));
}

// The newest is kept, the oldest makes room; at the end there is one file.
TEST(Record, ARingKeepsTheNewest) {
  constexpr uint64_t kRingBytes = 200'000;
  const TempDir directory;
  const std::string path = directory.file("ring");
  write_text(path_before(path), "of a recorder that crashed");
  uint64_t time_ns = 0;
  const auto write_block = [&](RecordWriter& writer) {
    std::vector<epoll_wait_record> waits;
    waits.reserve(100);
    for (int i = 0; i < 100; ++i) waits.push_back(wait_record(++time_ns));
    writer.waits(waits);
  };
  {
    RecordWriter writer(path, kRingBytes);
    writer.meta({{"target", "redis-server[4711]"}});
    write_block(writer);
    EXPECT_FALSE(std::filesystem::exists(path_before(path)));
    while (writer.dropped_bytes() < 3 * kRingBytes) write_block(writer);
    // As a crash would leave it.
    const Recording crashed = parse_recording(read_text(path_before(path)) + read_text(path));
    EXPECT_EQ(crashed.waits.back().time_ns, time_ns);
    EXPECT_FALSE(crashed.condition.ended);
    EXPECT_EQ(crashed.condition.damaged_places, 0U);
    for (int i = 0; i < 10; ++i) write_block(writer);
    writer.finish();
    EXPECT_EQ(writer.bytes(), std::filesystem::file_size(path));
  }
  EXPECT_FALSE(std::filesystem::exists(path_before(path)));
  EXPECT_LE(std::filesystem::file_size(path), kRingBytes + 10'000);
  EXPECT_GE(std::filesystem::file_size(path), kRingBytes / 2);
  const Recording kept = parse_recording(read_text(path));
  EXPECT_TRUE(kept.condition.whole()) << text_of(kept.condition);
  EXPECT_EQ(kept.meta.at("target"), "redis-server[4711]");
  EXPECT_EQ(kept.waits.back().time_ns, time_ns);
  EXPECT_EQ(kept.waits.front().time_ns, time_ns - kept.waits.size() + 1) << "without a gap";
  EXPECT_THROW(RecordWriter("/dev/null", kRingBytes), Error);
}

TEST(Record, ARingThatCannotBeJoinedKeepsItsHalves) {
  const TempDir directory;
  const std::string path = directory.file("ring");
  std::filesystem::create_directory(path + ".joined");
  RecordWriter writer(path, 100'000);
  std::vector<epoll_wait_record> waits(1000, wait_record(1));
  while (!std::filesystem::exists(path_before(path))) writer.waits(waits);
  writer.waits(waits);
  EXPECT_THROW(writer.finish(), Error);
  EXPECT_FALSE(parse_recording(read_text(path)).condition.ended) << "else it would seem whole";
  const Recording both = parse_recording(read_text(path_before(path)) + read_text(path));
  EXPECT_EQ(both.condition.damaged_places, 0U);
}

// At every byte: all whole blocks before the cut are there, nothing else, and the report says so.
TEST(Record, CutAtEveryByteGivesEveryWholeBlock) {
  const std::string whole = contents();
  const std::vector<size_t> starts = block_starts(whole);
  for (size_t length = kMagic.size(); length < whole.size(); ++length) {
    const Recording recording = parse_recording(whole.substr(0, length));
    const auto blocks = std::upper_bound(starts.begin(), starts.end(), length) - starts.begin() - 1;
    const size_t last = starts[static_cast<size_t>(blocks)];
    const Recording before = parse_recording(whole.substr(0, last));
    EXPECT_TRUE(same_contents(recording, before)) << length;
    EXPECT_EQ(recording.intervals, before.intervals) << length;
    EXPECT_FALSE(recording.condition.whole()) << length;
    EXPECT_EQ(recording.condition.damaged_bytes, length - last) << length;
    EXPECT_NE(text_of(recording.condition).find("cut short"), std::string::npos) << length;
  }
}

// Every bit of the file: that block is missing, every other one is there.
TEST(Record, AFlippedBitCostsItsBlockAlone) {
  const std::string whole = contents();
  const std::vector<size_t> starts = block_starts(whole);
  for (size_t block = 0; block + 1 < starts.size(); ++block) {
    const Recording expected = without_block(whole, block);
    const Damage damage{starts[block], starts[block + 1] - starts[block]};
    for (size_t bit = damage.at * 8; bit < starts[block + 1] * 8; ++bit) {
      std::string flipped = whole;
      flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ (1 << (bit % 8)));
      const Recording recording = parse_recording(flipped);
      EXPECT_TRUE(same_contents(recording, expected)) << bit;
      EXPECT_EQ(recording.intervals, expected.intervals) << bit;
      EXPECT_EQ(recording.condition.damages, std::vector<Damage>{damage}) << bit;
    }
  }
}

TEST(Record, DamageIsToldByPlace) {
  std::string damaged = contents();
  const std::vector<size_t> starts = block_starts(damaged);
  damaged[starts[1] + 20] ^= 1;
  damaged.resize(damaged.size() - 1);
  EXPECT_EQ(text_of(parse_recording(damaged).condition),
            fmt::format("2 damaged places, {} of {} bytes: {} bytes from byte {} on, 15 bytes from "
                        "byte {} on (cut short)",
                        starts[2] - starts[1] + 15, damaged.size(), starts[2] - starts[1],
                        starts[1], starts[4]));
}

TEST(Record, AnUnknownBlockIsSkipped) {
  std::vector<RecordBlock> blocks = split_record_file(contents());
  blocks.insert(blocks.end() - 1, RecordBlock{999, "of a later version"});
  const Recording recording = parse_recording(join_record_file(blocks));
  EXPECT_TRUE(recording.condition.whole());
  EXPECT_TRUE(same_contents(recording, parse_recording(contents())));
}

TEST(Record, WhatALaterVersionAppendsToABlockIsSkipped) {
  std::vector<RecordBlock> blocks = split_record_file(contents());
  blocks[1].payload += "more";
  blocks[3].payload += "more";
  const Recording recording = parse_recording(join_record_file(blocks));
  EXPECT_TRUE(recording.condition.whole());
  EXPECT_TRUE(same_contents(recording, parse_recording(contents())));
}

TEST(Record, FilesCanBeJoined) {
  const std::string whole = contents();
  const Recording both = parse_recording(whole + whole);
  EXPECT_TRUE(both.condition.whole());
  EXPECT_EQ(both.intervals, 4U);
  // The first of them cut short.
  const Recording cut = parse_recording(whole.substr(0, whole.size() - 20) + whole);
  EXPECT_EQ(cut.intervals, 4U);
  EXPECT_EQ(cut.condition.damaged_places, 1U);
}

// Its checksum is right, so only the decoder of the body can notice, halfway through.
TEST(Record, ABlockWithAMalformedBodyAddsNothing) {
  const std::vector<RecordBlock> blocks = split_record_file(contents());
  for (size_t i = 0; i + 1 < blocks.size(); ++i) {
    std::vector<RecordBlock> cut = blocks;
    cut[i].payload.pop_back();
    const Recording damaged = parse_recording(join_record_file(cut));
    EXPECT_EQ(damaged.condition.damaged_places, 1U) << i;
    EXPECT_TRUE(same_contents(damaged, without_block(contents(), i))) << i;
  }
}

// A small file must not become much memory, nor take long.
TEST(Record, WhatIsMoreThanTheProbesCouldCountIsMalformed) {
  ByteWriter waits;
  for (const uint64_t number : {5U, 4U, 1'000'000U})
    waits.number(number);  // stages, items, workers
  ByteWriter interval;
  for (int i = 0; i < 9; ++i) interval.number(0);  // times, losses, CPUs
  interval.number(kWorkersInBlockMax + 1);
  RecordVisitor nobody;
  EXPECT_FALSE(decode_block(BlockType::kWaits, waits.str() + std::string(4'000'000, '\0'), nobody));
  EXPECT_FALSE(
      decode_block(BlockType::kInterval, interval.str() + std::string(100'000, '\0'), nobody));
  // A table of workers that is cut short is no table of none.
  ByteWriter cut;
  for (const uint64_t number : {5U, 4U, 3U, 1U, 1U}) cut.number(number);
  EXPECT_FALSE(decode_block(BlockType::kWaits, cut.str(), nobody));
}

TEST(Record, HeadersThatClaimAllOfTheRestAreNotReadForEver) {
  struct Counting final : RecordSource {
    explicit Counting(std::string_view contents) : memory(contents) {}
    std::string_view view(uint64_t at, size_t bytes) override {
      const std::string_view found = memory.view(at, bytes);
      if (bytes > 64 << 10) asked += found.size();
      return found;
    }
    uint64_t size() const override { return memory.size(); }
    MemorySource memory;
    uint64_t asked = 0;
  };
  std::string file(kMagic);
  constexpr uint32_t kHeaders = 1 << 18;
  for (uint32_t i = 1; i < kHeaders; ++i) {
    const uint32_t fields[3] = {3, (kHeaders - i - 1) * 16, 0};
    file.append(kBlockMarker).append(reinterpret_cast<const char*>(fields), sizeof(fields));
  }
  Counting source(file);
  RecordVisitor nobody;
  EXPECT_FALSE(scan_recording(source, "file", nobody).whole());
  EXPECT_LE(source.asked, 64 * file.size()) << "2^37 bytes without a limit";
}

// What a terminal or a page would take for more than text.
TEST(Record, TextsOfAFileAreHarmless) {
  Recording recording;
  recording.meta = {{"target", "\x1b[2Jcafé \xff\xc2\x9b"}};
  EXPECT_EQ(parse_recording(fuzz::encoded(recording)).meta.at("target"),
            "\\x1b[2Jcafé \\xff\\xc2\\x9b");
}

TEST(Record, AForeignFileIsRefusedByName) {
  for (const std::string& text :
       {std::string(), std::string("PERFILE2 and more"), contents().substr(1)}) {
    MemorySource source(text);
    RecordVisitor nobody;
    try {
      scan_recording(source, "some.file", nobody);
      FAIL() << "accepted " << text.size() << " bytes";
    } catch (const Error& error) {
      EXPECT_NE(std::string(error.what()).find("some.file is not an epulse recording"),
                std::string::npos)
          << error.what();
    }
  }
  EXPECT_THROW(FileSource("/nonexistent/file"), Error);
  EXPECT_THROW(FileSource("/dev/null"), Error);
}

// Larger than the window, damaged in its middle: by windows it reads as it does in memory.
TEST(Record, AFileLargerThanTheWindow) {
  Recording large;
  for (uint64_t i = 0; i < 200'000; ++i) large.waits.push_back(wait_record(i * 1'000'000));
  std::string bytes = fuzz::encoded(large);
  ASSERT_GT(bytes.size(), 3U << 20);
  bytes[bytes.size() / 2] ^= 4;
  const TempDir directory;
  const std::string path = directory.file("large");
  std::ofstream(path, std::ios::binary) << bytes;

  struct Counter final : RecordVisitor {
    void on_waits(std::span<const epoll_wait_record> waits) override { count += waits.size(); }
    size_t count = 0;
  } counter;
  FileSource file(path);
  const RecordCondition condition = scan_recording(file, path, counter);
  EXPECT_EQ(counter.count, 200'000 - kWaitsInBlockMax);
  EXPECT_EQ(condition.damages, parse_recording(bytes).condition.damages);
}

TEST(WaitBlock, IsCompactAndExact) {
  std::vector<epoll_wait_record> waits;
  for (uint64_t i = 0; i < 1000; ++i) {
    epoll_wait_record& wait = waits.emplace_back(wait_record(5'000'000'000 + i * 5'000));
    wait.tid = static_cast<uint32_t>(100 + i % 7);
    for (auto& ns : wait.stage_ns) ns = 3'000 + i;
  }
  waits.push_back(wait_record(std::numeric_limits<uint64_t>::max()));
  waits.push_back(wait_record(0));
  const std::string payload = encode_waits(waits);
  EXPECT_LT(payload.size(), waits.size() * 24);
  std::vector<epoll_wait_record> again;
  ASSERT_TRUE(decode_waits(payload, again));
  ASSERT_EQ(again.size(), waits.size());
  EXPECT_EQ(memcmp(again.data(), waits.data(), waits.size() * sizeof(waits[0])), 0);
}

TEST(ConnectionBlock, WhatIsNoAddressIsMalformed) {
  std::vector<WatchedConnection> again;
  uint64_t time_ns = 0;
  const auto takes = [&](const std::string& address) {
    const WatchedConnection connection{1, address, "127.0.0.1:1"};
    return decode_connections(encode_connections(7, {&connection, 1}), time_ns, again);
  };
  EXPECT_TRUE(takes("127.0.0.1:9001"));
  EXPECT_EQ(time_ns, 7U);
  EXPECT_TRUE(takes(std::string(kAddressBytesMax, '1')));
  EXPECT_FALSE(takes(std::string(kAddressBytesMax + 1, '1')));
  EXPECT_FALSE(takes("127.0.0.1\x1b[2J"));
  EXPECT_FALSE(decode_connections(std::string("\x07\xff\x7f", 3), time_ns, again)) << "too many";
  EXPECT_FALSE(decode_connections({}, time_ns, again));
}

TEST(ByteStream, NumbersOfEverySize) {
  ByteWriter out;
  std::vector<uint64_t> numbers{0, 127, 128, 16'383, 16'384, ~0ULL};
  for (const uint64_t number : numbers) out.number(number);
  ByteReader in(out.str());
  for (const uint64_t number : numbers) EXPECT_EQ(in.number(), number);
  EXPECT_TRUE(in.ok());
  EXPECT_TRUE(in.at_end());
  in.number();
  EXPECT_FALSE(in.ok());
}

TEST(ByteStream, DifferencesInEitherDirection) {
  ByteWriter out;
  const std::vector<uint64_t> numbers{0, 1, 0, ~0ULL, 1ULL << 63, 5, (1ULL << 63) + 5};
  uint64_t base = 7;
  for (const uint64_t number : numbers) {
    out.difference(number, base);
    base = number;
  }
  ByteReader in(out.str());
  base = 7;
  for (const uint64_t number : numbers) EXPECT_EQ(base = in.difference(base), number);
  EXPECT_TRUE(in.at_end());
}

}  // namespace
}  // namespace epulse::record
