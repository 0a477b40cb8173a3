#include <gtest/gtest.h>
#include <unistd.h>
#include <zlib.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "agent/error.hpp"
#include "agent/export/byte_stream.hpp"
#include "agent/export/record_reader.hpp"
#include "agent/export/record_writer.hpp"
#include "tests/fuzz/record_blocks.hpp"
#include "tests/fuzz/recording.hpp"

namespace epulse::record {
namespace {

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

epoll_wait_record wait_record() {
  epoll_wait_record wait{};
  wait.tid = 4711;
  wait.items[EPOLL_ITEMS_LISTED] = 812;
  wait.reasons = EPOLL_WAIT_DEEP;
  return wait;
}

// A recording of two intervals and one single wait, as the bytes of its file.
std::string contents() {
  const std::string path =
      (std::filesystem::temp_directory_path() / ("epulse-record-" + std::to_string(getpid())))
          .string();
  {
    RecordWriter writer(path);
    writer.meta({{"target", "redis-server[4711]"}});
    writer.interval(interval(5), {{4710, "redis"}, {4711, "redis-server"}});
    writer.interval(interval(7), {});
    writer.waits({wait_record()});
    writer.finish();
  }
  std::ostringstream text;
  text << std::ifstream(path, std::ios::binary).rdbuf();
  std::filesystem::remove(path);
  return text.str();
}

TEST(Record, ComesBackAsWritten) {
  const Recording recording = parse_recording(contents(), "file");
  EXPECT_EQ(recording.damage, "");
  EXPECT_EQ(recording.meta.at("target"), "redis-server[4711]");
  EXPECT_EQ(recording.names.at(4711), "redis-server");
  EXPECT_EQ(recording.intervals, 2U);
  EXPECT_EQ(recording.total.duration_ns, 1'000'000'000U);
  EXPECT_EQ(recording.names.at(4710), "redis");
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
  ASSERT_EQ(recording.waits.size(), 1U);
  EXPECT_EQ(recording.waits[0].items[EPOLL_ITEMS_LISTED], 812U);
}

TEST(Record, CutAtEveryByteGivesWhatIsIntact) {
  const std::string whole = contents();
  size_t intervals = 0;
  for (size_t length = kMagic.size(); length < whole.size(); ++length) {
    const Recording recording = parse_recording(whole.substr(0, length), "file");
    EXPECT_NE(recording.damage, "") << length;
    EXPECT_GE(recording.intervals, intervals) << "a longer file has no less";
    intervals = recording.intervals;
  }
  EXPECT_EQ(intervals, 2U);
}

TEST(Record, AFlippedBitIsFoundAndWhatStandsBeforeItKept) {
  const std::string whole = contents();
  for (size_t at = kMagic.size(); at < whole.size(); ++at) {
    std::string flipped = whole;
    flipped[at] = static_cast<char>(flipped[at] ^ 0x10);
    EXPECT_NE(parse_recording(flipped, "file").damage, "") << at;
  }
}

TEST(Record, AnUnknownBlockIsSkipped) {
  const std::string whole = contents();
  std::string unknown("\xe7\x03\0\0\x03\0\0\0????new", 15);  // type 999, three bytes
  const auto* bytes = reinterpret_cast<const Bytef*>(unknown.data());
  const auto crc = static_cast<uint32_t>(crc32(crc32(0, bytes, 8), bytes + kBlockHeaderBytes, 3));
  memcpy(unknown.data() + 8, &crc, sizeof(crc));
  const size_t end = whole.size() - kBlockHeaderBytes;
  const Recording recording =
      parse_recording(whole.substr(0, end) + unknown + whole.substr(end), "file");
  EXPECT_EQ(recording.damage, "");
  EXPECT_EQ(recording.intervals, 2U);
}

// Its checksum is right, so only the decoder of the body can notice, halfway through.
TEST(Record, ABlockWithAMalformedBodyAddsNothing) {
  using epulse::fuzz::RecordBlock;
  const std::vector<RecordBlock> blocks = epulse::fuzz::split_record_file(contents());
  for (size_t i = 0; i + 1 < blocks.size(); ++i) {
    std::vector<RecordBlock> cut(blocks.begin(), blocks.begin() + static_cast<ptrdiff_t>(i) + 1);
    cut[i].payload.pop_back();
    if (blocks[i].type == 3)
      cut[i].payload = "\x58\x02" + cut[i].payload.substr(2);  // two promised
    const Recording damaged = parse_recording(epulse::fuzz::join_record_file(cut), "file");
    EXPECT_NE(damaged.damage.find("corrupt block"), std::string::npos) << i << damaged.damage;
    cut.pop_back();
    const Recording before = parse_recording(epulse::fuzz::join_record_file(cut), "file");
    EXPECT_TRUE(epulse::fuzz::same_contents(damaged, before)) << i;
  }
}

TEST(Record, AForeignFileIsRefusedByName) {
  for (const std::string& text :
       {std::string(), std::string("PERFILE2 and more"), contents().substr(1)}) {
    try {
      parse_recording(text, "some.file");
      FAIL() << "accepted " << text.size() << " bytes";
    } catch (const Error& error) {
      EXPECT_NE(std::string(error.what()).find("some.file is not an epulse recording"),
                std::string::npos)
          << error.what();
    }
  }
  EXPECT_THROW(read_recording("/nonexistent/file"), Error);
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

}  // namespace
}  // namespace epulse::record
