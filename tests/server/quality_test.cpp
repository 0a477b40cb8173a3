// Quality reports of clients, and what they change.
#include "server/quality.hpp"

#include <gtest/gtest.h>

#include <string>

#include "server/echo_handler.hpp"
#include "server/session/session.hpp"
#include "tests/server/turn.hpp"

namespace epulse::server {
namespace {

using testing::bytes_of;
using testing::client_frame;
using ws::Opcode;

TEST(Quality, ReportsAreReadWhole) {
  const auto report = parse_quality("epulse-quality buffered=65536 rtt_ms=120.5 loss=0.02");
  ASSERT_TRUE(report);
  EXPECT_EQ(report->rtt_ms, 120.5);
  EXPECT_EQ(report->loss, 0.02);
  EXPECT_EQ(report->buffered_bytes, 65536);
  EXPECT_TRUE(parse_quality("epulse-quality"));
  for (const char* text :
       {"", "epulse", "hello", "epulse-quality ", "epulse-qualityrtt_ms=1", "epulse-quality rtt_ms",
        "epulse-quality rtt_ms=", "epulse-quality rtt_ms=-1", "epulse-quality rtt_ms=nan",
        "epulse-quality rtt_ms=1e99", "epulse-quality loss=1.01", "epulse-quality rtt_ms=1x",
        "epulse-quality rtt_ms=1 rtt_ms=2", "epulse-quality  rtt_ms=1",
        "epulse-quality jitter=1"}) {
    EXPECT_FALSE(parse_quality(text)) << text;
  }
}

TEST(Quality, LimitsGoFromTheGoodToTheBad) {
  EXPECT_EQ(limits_for({}), (QualityLimits{65536, 30}));
  EXPECT_EQ(limits_for({100, 0.001, 16384}), (QualityLimits{65536, 30}));
  EXPECT_EQ(limits_for({500, 0, 0}), (QualityLimits{8192, 15}));
  EXPECT_EQ(limits_for({0, 0.02, 0}), (QualityLimits{8192, 15}));
  EXPECT_EQ(limits_for({0, 0, 262144}), (QualityLimits{8192, 15}));
  EXPECT_EQ(limits_for({1e9, 1, 1e15}), (QualityLimits{8192, 15}));
  EXPECT_EQ(limits_for({0, 0, 65536}), (QualityLimits{32768, 22}));  // half the way
  std::uint32_t bytes = 65536;
  for (double rtt = 0; rtt < 600; rtt += 1) {
    const QualityLimits limits = limits_for({rtt, 0, 0});
    EXPECT_LE(limits.max_message_bytes, bytes) << rtt;
    bytes = limits.max_message_bytes;
  }
}

class QualityTest : public ::testing::Test {
 protected:
  QualityTest() {
    session.attach(engine);
    session.on_accept({0, 0});
    testing::Bytes request = request_for("/");
    session.on_data({0, 0}, request);
    engine.sent[0].clear();
  }

  std::string answer_to(const std::string& text) {
    engine.sent[0].clear();
    testing::Bytes frame = client_frame(Opcode::kText, bytes_of(text));
    session.on_data({0, 0}, frame);
    return engine.sent[0].substr(std::min<std::size_t>(2, engine.sent[0].size()));
  }
  // Seconds until it is pinged, with nothing said meanwhile.
  int seconds_to_ping() {
    engine.sent[0].clear();
    for (int second = 1; second <= 200; ++second) {
      engine.now += kSecondNs;
      session.on_tick();
      if (!engine.sent[0].empty()) return second;
    }
    return -1;
  }

  Turn engine;
  SharedState shared{{.max_connections = 10}, {}, 1};
  EchoHandler handler{{.quality_reports = true}};
  Session session{shared, 0, handler};
};

const std::string kBad = "epulse-quality rtt_ms=900";

TEST_F(QualityTest, WhatWasToldHoldsFromTheNextReportOn) {
  const std::string large(20'000, 'x');
  EXPECT_EQ(answer_to(kBad), "epulse-limits max_message=8192 ping_s=15");
  EXPECT_EQ(answer_to(large).size(), large.size() + 2);  // It did not know yet.
  EXPECT_EQ(answer_to("epulse-quality rtt_ms=10"), "epulse-limits max_message=65536 ping_s=30");
  EXPECT_EQ(answer_to(std::string(100, 'y')), std::string(100, 'y'));
  EXPECT_TRUE(answer_to(large).starts_with("\x03\xF1"));  // 1009
}

TEST_F(QualityTest, PingsComeSooner) {
  EXPECT_NEAR(seconds_to_ping(), 150, 1);
  answer_to(kBad);
  answer_to(kBad);
  EXPECT_NEAR(seconds_to_ping(), 15, 1);
  for (int second = 0; second < 17; ++second) {
    engine.now += kSecondNs;
    session.on_tick();
  }
  EXPECT_TRUE(engine.aborted.contains(0));  // Nothing was heard in two of them.
}

// The session keeps to --max-message and --idle-timeout: more is not promised.
TEST(QualityLimits, AnswersPromiseNoMoreThanTheServerHas) {
  Turn engine;
  SharedState shared{{.max_message_bytes = 10'000, .max_connections = 10}, {}, 1};
  EchoHandler handler{{.quality_reports = true, .at_most = {10'000, 20}}};
  Session session{shared, 0, handler};
  session.attach(engine);
  session.on_accept({0, 0});
  testing::Bytes request = request_for("/");
  session.on_data({0, 0}, request);
  engine.sent[0].clear();
  testing::Bytes frame = client_frame(Opcode::kText, bytes_of("epulse-quality rtt_ms=10"));
  session.on_data({0, 0}, frame);
  EXPECT_EQ(engine.sent[0].substr(2), "epulse-limits max_message=10000 ping_s=20");
}

TEST_F(QualityTest, OtherTextsAreEchoed) {
  EXPECT_EQ(answer_to("epulse-quality is good"), "epulse-quality is good");
}

}  // namespace
}  // namespace epulse::server
