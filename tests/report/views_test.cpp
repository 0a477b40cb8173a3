// The page, the script and the text of a recording.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <functional>
#include <regex>

#include "tests/report/sample.hpp"
#include "tools/report/html.hpp"
#include "tools/report/script.hpp"
#include "tools/report/stdio.hpp"

namespace epulse::report {
namespace {

size_t count_of(const std::string& text, const std::string& part) {
  size_t count = 0;
  for (size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++count;
  return count;
}

// Twenty seconds, a worker that grows slow halfway, one that is idle.
Summary two_workers() {
  Summary summary;
  summary.on_meta({{"target", "<server> & \"sons\"[4711]"}});
  for (uint64_t second = 1; second <= 20; ++second) {
    model::EpollSnapshot interval = sample_interval(second, second > 10 ? 900'000 : 5'000, 10'000);
    model::WorkerStats busy = sample_interval(second, 40'000, 700'000, 90).workers[0];
    busy.key.tid = 4713;
    interval.workers.push_back(busy);
    summary.on_interval(interval, {{4711, "server"}, {4712, "<b>\"'&"}, {4713, "worker-2"}});
  }
  return summary;
}

std::string printed(const std::function<void()>& print) {
  testing::internal::CaptureStdout();
  print();
  std::fflush(stdout);
  return testing::internal::GetCapturedStdout();
}

TEST(Html, HasItsChartsAndIsWellFormed) {
  const std::string page = html_page(two_workers(), "");
  for (const char* id :
       {"heat-0", "heat-1", "heat-2", "heat-3", "heat-4", "depth", "stages-0", "stages-1"}) {
    EXPECT_EQ(count_of(page, fmt::format("<svg id=\"{}\"", id)), 1U) << id;
  }
  for (const char* tag : {"svg", "table", "tr", "td", "details", "dl", "style", "text", "title"}) {
    const std::regex open(fmt::format("<{}[ >]", tag));
    const auto opened = std::distance(std::sregex_iterator(page.begin(), page.end(), open), {});
    EXPECT_EQ(static_cast<size_t>(opened), count_of(page, fmt::format("</{}>", tag))) << tag;
  }
  EXPECT_EQ(page.find("nan"), std::string::npos);
  EXPECT_EQ(page.find("inf\""), std::string::npos);
}

TEST(Html, FetchesNothingAndRunsNothing) {
  const std::string page = html_page(two_workers(), "");
  EXPECT_NE(page.find("default-src 'none'"), std::string::npos);
  for (const char* part :
       {"http:", "https:", "src=", "href=", "url(", "@import", "<script", "<link"}) {
    EXPECT_EQ(page.find(part), std::string::npos) << part;
  }
}

TEST(Html, NamesAreEscaped) {
  const std::string page = html_page(two_workers(), "cut <i>short</i>");
  EXPECT_EQ(page.find("<server>"), std::string::npos);
  EXPECT_EQ(page.find("<b>"), std::string::npos);
  EXPECT_EQ(page.find("<i>"), std::string::npos);
  EXPECT_NE(page.find("&lt;server&gt; &amp; &quot;sons&quot;[4711]"), std::string::npos);
  EXPECT_NE(page.find("&lt;b&gt;&quot;&#39;&amp;[4712]"), std::string::npos);
}

TEST(Html, TheBreakdownAddsUp) {
  const std::string page = html_page(two_workers(), "");
  const std::regex share("<title>[a-z ]+: ([0-9.]+) %</title>");
  double sum = 0;
  for (std::sregex_iterator it(page.begin(), page.end(), share), end; it != end; ++it) {
    sum += std::stod((*it)[1]);
  }
  EXPECT_NEAR(sum, 200, 0.5) << "two workers";
}

TEST(Html, AnEmptyRecordingIsAPageToo) {
  const std::string page = html_page({}, "cut short: it has no end block");
  EXPECT_NE(page.find("No epoll_wait returned"), std::string::npos);
  EXPECT_NE(page.find("the recording is cut short"), std::string::npos);
  EXPECT_EQ(page.find("class=\"chart\""), std::string::npos);
}

TEST(Stdio, WorkersAreSortedAndCut) {
  const Summary summary = two_workers();
  const auto text = [&](SortKey key, size_t workers) {
    return printed([&] { print_report(summary, {false, false, key, workers}); });
  };
  const std::string by_handler = text(SortKey::kHandler, 0);
  EXPECT_LT(by_handler.find("worker-2[4713], epoll"), by_handler.find("[4712], epoll"));
  const std::string by_latency = text(SortKey::kLatency, 0);
  EXPECT_GT(by_latency.find("worker-2[4713], epoll"), by_latency.find("[4712], epoll"));
  EXPECT_EQ(text(SortKey::kDepth, 1).find("[4712], epoll"), std::string::npos);
}

TEST(Stdio, TheTimelineShowsWhen) {
  const std::string text = printed([] { print_report(two_workers(), {false, true}); });
  const size_t line = text.find("\n       10.0s ");
  ASSERT_NE(line, std::string::npos) << text;
  EXPECT_NE(text.substr(line, 110).find("900us"), std::string::npos) << text;
  EXPECT_NE(text.find("\n       9.00s "), std::string::npos) << text;
}

// Every line by itself is an object; the figures are those of the recording.
TEST(Script, JsonHasEveryEvent) {
  epoll_wait_record wait{};
  wait.time_ns = 5'000'000'001;
  wait.tid = 4712;
  wait.stage_ns[EPOLL_STAGE_WOKEN_TO_RUNNING] = 77;
  wait.items[EPOLL_ITEMS_LISTED] = 812;
  wait.reasons = EPOLL_WAIT_DEEP | EPOLL_WAIT_SAMPLED;
  const std::string text = printed([&] {
    Script script(stdout, true);
    script.on_meta({{"target", "a \"quoted\" one"}});
    model::EpollSnapshot interval = sample_interval(5, 5'000, 10'000);
    interval.losses.waits_dropped = 3;
    script.on_interval(interval, kSampleNames);
    script.on_waits({&wait, 1});
    const std::vector<record::WatchedConnection> connections{
        {1, "of an instance", "that nobody waited on"},
        {interval.workers[0].key.epoll_id, "127.0.0.1:9001", "127.0.0.1:54012"}};
    script.on_connections(5'000'000'002, connections);
  });
  EXPECT_EQ(count_of(text, "\n"), 5U);
  EXPECT_EQ(count_of(text, "{\"schema_version\":1,\"type\":\""), 5U);
  EXPECT_NE(text.find(R"("type":"connection","time_ns":5000000002,"tid":4712,"thread":"worker-1",)"
                      R"("epfd":7,"local":"127.0.0.1:9001","peer":"127.0.0.1:54012"})"),
            std::string::npos)
      << text;
  EXPECT_NE(text.find(R"("name":"target","value":"a \"quoted\" one"})"), std::string::npos) << text;
  EXPECT_NE(
      text.find(R"("cpu":0,"tid":4712,"thread":"worker-1","epfd":0,"reasons":["deep","sampled"])"),
      std::string::npos)
      << text;
  EXPECT_NE(text.find(R"("woken_to_running_ns":77,)"), std::string::npos) << text;
  EXPECT_NE(text.find(R"("handler":{"count":1000,"mean_ns":10000,)"), std::string::npos) << text;
  EXPECT_NE(text.find(R"("type":"loss","time_ns":5000000000,"losses":{"waits_dropped":3,)"),
            std::string::npos)
      << text;
}

TEST(Script, LinesAreForGrep) {
  epoll_wait_record wait{};
  wait.time_ns = 5'000'000'001;
  wait.tid = 4712;
  wait.cpu = 1;
  wait.stage_ns[EPOLL_STAGE_READY_TO_DELIVERED] = 1'500;
  wait.reasons = EPOLL_WAIT_LATE;
  const std::string text = printed([&] {
    Script script(stdout, false);
    script.on_interval(sample_interval(5, 5'000, 10'000), kSampleNames);
    script.on_waits({&wait, 1});
    const record::WatchedConnection connection{0xffff888012345678, "[::1]:9001", "[::1]:54012"};
    script.on_connections(5'000'000'002, {&connection, 1});
  });
  EXPECT_NE(text.find("4712 connection: epfd 7 local [::1]:9001 peer [::1]:54012\n"),
            std::string::npos)
      << text;
  EXPECT_NE(text.find("       5.000000001         worker-1    4712 [001] wait: epfd 0 listed 0"),
            std::string::npos)
      << text;
  EXPECT_NE(text.find("rdy>dlv 1.50us late\n"), std::string::npos) << text;
  EXPECT_NE(text.find("4712 interval: epfd 7 waits 1000 events 1000 "), std::string::npos) << text;
}

// A file may name any number of threads, and only so many have a worker in the total.
TEST(Summary, KeepsSoManyNamesAndNoMore) {
  record::ThreadNames names;
  for (uint32_t id = 1; id <= 10'000; ++id) names[id] = "thread";
  Summary summary;
  summary.on_interval({}, names);
  EXPECT_EQ(summary.names().size(), 2 * model::EpollTotal::kWorkersMax);
  summary.on_interval({}, {{1, "another"}});
  EXPECT_EQ(summary.names().at(1), "another");
}

}  // namespace
}  // namespace epulse::report
