// What results are made into: histogram files, thresholds, metrics, records.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/agent/temp_dir.hpp"
#include "tools/load/expectation.hpp"
#include "tools/load/hdr_format.hpp"
#include "tools/load/metrics_text.hpp"
#include "tools/load/record_file.hpp"
#include "tools/load/recording.hpp"
#include "tools/load/thread_use.hpp"

namespace epulse::load {
namespace {

using ::testing::ElementsAre;
using ::testing::ElementsAreArray;
using ::testing::HasSubstr;
using ::testing::StartsWith;

Distribution of(const std::vector<std::uint64_t>& values) {
  LiveDistribution live;
  for (const std::uint64_t value : values) live.record(value);
  return live.snapshot();
}

TEST(HdrFormat, CountsAndRunsOfEmptySlots) {
  // Slots 0: 1, 1: empty, 2: 64, then 1,021 empty, 1024: 1; as ZigZag: 2, 0, 128, -1,021 ->
  // 2041, 2.
  std::vector<std::uint64_t> values(64, 2);
  values.push_back(0);
  values.push_back(1024);
  const std::vector<std::uint8_t> bytes = hdr_encode(of(values));
  const std::vector<std::uint8_t> head(bytes.begin(), bytes.begin() + 40);
  EXPECT_THAT(head, ElementsAreArray({0x1C, 0x84, 0x93, 0x13, 0,    0,    0, 7, 0, 0, 0, 0, 0, 0,
                                      0,    3,    0,    0,    0,    0,    0, 0, 0, 1, 0, 0, 3, 0xFF,
                                      0xFF, 0xFF, 0xFF, 0xFF, 0x3F, 0xF0, 0, 0, 0, 0, 0, 0}));
  EXPECT_THAT(std::vector<std::uint8_t>(bytes.begin() + 40, bytes.end()),
              ElementsAre(2, 0, 0x80, 1, 0xF9, 0x0F, 2));
}

TEST(HdrFormat, TextFormsStartAsReadersWant) {
  const Distribution latency = of({1'000'000, 2'000'000});
  EXPECT_THAT(hdr_compressed(latency), StartsWith("HISTFAAA"));
  EXPECT_THAT(hdr_log_line(1, 0.5, latency), StartsWith("1.000,0.500,2.000,HISTFAAA"));
  EXPECT_THAT(hdr_log_head("us", 12.5), HasSubstr("#[StartTime: 12.500 (seconds since epoch)]\n"));
}

TEST(HdrFormat, PercentilesOfTwoValues) {
  // Their slots end 0.1 % above them.
  EXPECT_THAT(hdr_percentiles(of({1'000'000, 2'000'000})),
              HasSubstr("       1.000 0.000000000000          1           1.00\n"
                        "       1.000 0.100000000000          1           1.11\n"
                        "       1.000 0.200000000000          1           1.25\n"
                        "       1.000 0.300000000000          1           1.43\n"
                        "       1.000 0.400000000000          1           1.67\n"
                        "       1.000 0.500000000000          1           2.00\n"
                        "       2.001 0.550000000000          2           2.22\n"
                        "       2.001 1.000000000000          2\n"
                        "#[Mean    =        1.500, StdDeviation   =        0.500]\n"
                        "#[Max     =        2.001, Total count    =            2]\n"
                        "#[Buckets =           32, SubBuckets     =         2048]\n"));
  EXPECT_THAT(hdr_percentiles({}), HasSubstr("Total count    =            0]"));
}

Result result_of(const std::vector<std::uint64_t>& latencies) {
  Result result;
  result.totals.latency = of(latencies);
  result.totals.received = result.totals.received_in_time = latencies.size();
  result.elapsed_s = 2;
  return result;
}

bool met(const std::string& text, const Result& result) {
  const std::optional<Expectation> expectation = parse_expectation(text);
  EXPECT_TRUE(expectation) << text;
  return expectation && expectation->met(result);
}

TEST(Expectation, IsMetOrNot) {
  Result result = result_of({1000, 2000, 3000, 10'000'000});
  result.totals.errors[index_of(ErrorKind::kTimeout)] = 3;
  for (const char* text : {"p50<=2us", "p50<2001ns", "p75>2us", "p99<10.1ms", "max>=10ms",
                           "max<=0.01s", "mean<3ms", "rate=2", "received>=4", "errors=3",
                           "timeout<=3", "timeout>2", "closed=0", "unsound=0", "p99.9>3us"}) {
    EXPECT_TRUE(met(text, result)) << text;
  }
  for (const char* text : {"p50<2us", "p75<=2us", "max<10ms", "rate>2", "errors=0", "timeout<3"}) {
    EXPECT_FALSE(met(text, result)) << text;
  }
  EXPECT_FALSE(met("p99<1s", result_of({}))) << "nothing came at all";
  EXPECT_EQ(parse_expectation("p99<1s")->measured_text(result_of({})), "nothing");
  EXPECT_EQ(parse_expectation("max<1ms")->measured_text(result), "10 ms");
  EXPECT_EQ(parse_expectation("errors=0")->measured_text(result), "3");
}

TEST(Expectation, WhatIsNone) {
  for (const char* text : {"", "p99", "p99<", "p99<2", "p99<2min", "p101<2ms", "px<2ms", "p<2ms",
                           "errors=0ms", "bogus=1", "<2ms", "errors=x", "pnan<1ms", "p99<nanms"}) {
    EXPECT_FALSE(parse_expectation(text)) << text;
  }
}

TEST(Result, SaysWhatMakesItUnsound) {
  Result result = result_of({1000});
  result.threads = {{0.5, 0.01}, {0.94, 0.09}};
  EXPECT_TRUE(unsound_reasons(result).empty());
  result.threads[0].running = 0.97;
  ASSERT_EQ(unsound_reasons(result).size(), 1U);
  EXPECT_THAT(unsound_reasons(result)[0], HasSubstr("saturated (97 % of a CPU)"));
  result.threads[1].waiting = 0.3;
  ASSERT_EQ(unsound_reasons(result).size(), 2U);
  EXPECT_THAT(unsound_reasons(result)[1], HasSubstr("waited for a CPU 30 % of the time"));
}

// A generator that stands still once is late for the last nine only.
TEST(Result, LatenessCountsAtThePercentilesThatAreAskedFor) {
  LiveDistribution lag;
  Result result = result_of(std::vector<std::uint64_t>(1000, 1'000'000));
  for (int k = 0; k < 1000; ++k) lag.record(k < 995 ? 1000 : 80'000'000);
  result.totals.lag = lag.snapshot();
  EXPECT_TRUE(unsound_reasons(result).empty()) << "p99 is right";
  result.asked = {0.5, 0.999};
  ASSERT_EQ(unsound_reasons(result).size(), 1U);
  EXPECT_THAT(unsound_reasons(result)[0], HasSubstr("late (p99.9 "));
}

TEST(Expectation, OfSoundnessSeesEveryStep) {
  Result result = result_of({1000});
  result.threads = {{0.5, 0}};
  result.steps = {result, result};
  EXPECT_TRUE(parse_expectation("unsound=0")->met(result));
  result.steps[1].threads[0].running = 0.97;
  EXPECT_FALSE(parse_expectation("unsound=0")->met(result));
  result.ramp = RampEnd{};
  EXPECT_TRUE(parse_expectation("unsound=0")->met(result)) << "probes look for the limit";
}

TEST(ThreadUse, ReadsSchedstat) {
  const std::optional<SchedulerTimes> times = parse_schedstat("890711 72726 1");
  ASSERT_TRUE(times);
  EXPECT_EQ(times->running_ns, 890711U);
  EXPECT_EQ(times->waiting_ns, 72726U);
  EXPECT_FALSE(parse_schedstat(""));
  EXPECT_FALSE(parse_schedstat("12"));
  EXPECT_FALSE(scheduler_times(0));
  EXPECT_GT(peak_memory_bytes(), 100'000U);
}

TEST(MetricsText, BucketsAddUp) {
  Totals totals;
  totals.received = 4;
  totals.errors[index_of(ErrorKind::kLost)] = 2;
  totals.latency = of({5'000, 15'000, 400'000, 60'000'000'000});
  const std::string text = metrics_text(totals, {{1'500'000'000, 250'000'000}});
  for (const char* line :
       {"epulse_load_received_total 4\n", "epulse_load_errors_total{kind=\"lost\"} 2\n",
        "epulse_load_latency_seconds_bucket{le=\"1e-05\"} 1\n",
        "epulse_load_latency_seconds_bucket{le=\"2e-05\"} 2\n",
        "epulse_load_latency_seconds_bucket{le=\"0.0002\"} 2\n",
        "epulse_load_latency_seconds_bucket{le=\"0.0005\"} 3\n",
        "epulse_load_latency_seconds_bucket{le=\"10\"} 3\n",
        "epulse_load_latency_seconds_bucket{le=\"+Inf\"} 4\n",
        "epulse_load_latency_seconds_count 4\n",
        "epulse_load_thread_cpu_seconds_total{thread=\"0\"} 1.500000\n",
        "epulse_load_thread_waiting_seconds_total{thread=\"0\"} 0.250000\n"}) {
    EXPECT_THAT(text, HasSubstr(line));
  }
}

std::vector<std::uint32_t> sequences(const MessageSample& sample) {
  std::vector<std::uint32_t> all;
  for (const RecordedMessage& message : sample.messages()) all.push_back(message.sequence);
  return all;
}

TEST(MessageSample, KeepsEveryOtherWhenItIsFull) {
  MessageSample sample(3, 4);
  for (std::uint32_t k = 0; k < 10; ++k) sample.add({1, 2, 3, 0, k});
  EXPECT_THAT(sequences(sample), ElementsAre(0, 3, 6, 9));
  for (std::uint32_t k = 10; k < 25; ++k) sample.add({1, 2, 3, 0, k});
  EXPECT_EQ(sample.every(), 12U);
  EXPECT_THAT(sequences(sample), ElementsAre(0, 12, 24));
  sample.thin_to(24);
  EXPECT_THAT(sequences(sample), ElementsAre(0, 24));
}

TEST(Record, IsWrittenAsItsFormatSays) {
  Recording recording{MessageSample(1, 100), {{7, "127.0.0.1:5", "127.0.0.1:9"}}};
  recording.sample.add({10, 20, 30, 7, 0});
  recording.sample.add({11, 21, 0, 7, 1});
  const TempDir directory;
  const std::string path = directory.file("record");
  OutputFile file(path, "a test");
  write_record(file, {"ws://h/\"", "open", 1, 2, 1'764'060'000}, {&recording});
  file.finish();
  const std::string text = read_text(path);
  EXPECT_THAT(text, StartsWith(R"({"type":"load_record","schema_version":1,)"
                               R"("clock":"monotonic","boot_id":")"));
  EXPECT_THAT(text, HasSubstr(R"("url":"ws://h/\"","mode":"open","start_ns":1,"end_ns":2,)"
                              R"("realtime_offset_ns":1764060000,)"));
  EXPECT_THAT(text, HasSubstr(R"("sample_every":1,"messages":2}
{"type":"connection","connection":7,"local":"127.0.0.1:5","peer":"127.0.0.1:9"}
{"m":[7,0,10,20,30]}
{"m":[7,1,11,21,null]}
{"type":"end","messages":2}
)"));
}

}  // namespace
}  // namespace epulse::load
