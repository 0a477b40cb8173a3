#include "tools/report/join.hpp"

#include <gtest/gtest.h>

#include <numeric>

#include "tests/agent/temp_dir.hpp"
#include "tools/report/join_text.hpp"

namespace epulse::report {
namespace {

constexpr uint64_t kUs = 1'000;
constexpr uint64_t kInstance = 0xffff888012345678;
constexpr uint64_t kOther = 0xffff888012340000;

// What the probe tells of a delivery; times in us, 0: did not occur.
struct Told {
  uint64_t time;
  uint64_t ready_to_delivered = 0;
  uint64_t woken_to_running = 0;
  uint64_t running_to_delivered = 0;
  uint64_t handler_before = 0;
  uint32_t events = 1;
  uint32_t tid = 1;
  uint64_t instance = kInstance;
};

void tell(Deliveries& deliveries, const std::vector<Told>& all, uint32_t max_events = 128) {
  model::EpollSnapshot interval;
  std::vector<epoll_wait_record> waits;
  for (const Told& told : all) {
    model::WorkerStats worker;
    worker.key = {told.instance, told.tid, 5, 1, 100};
    worker.max_events = max_events;
    interval.workers.push_back(worker);
    epoll_wait_record& wait = waits.emplace_back();
    wait.time_ns = told.time * kUs;
    wait.epoll_id = told.instance;
    wait.tid = told.tid;
    wait.stage_ns[EPOLL_STAGE_READY_TO_DELIVERED] = told.ready_to_delivered * kUs;
    wait.stage_ns[EPOLL_STAGE_WOKEN_TO_RUNNING] = told.woken_to_running * kUs;
    wait.stage_ns[EPOLL_STAGE_RUNNING_TO_DELIVERED] = told.running_to_delivered * kUs;
    wait.stage_ns[EPOLL_STAGE_HANDLER] = told.handler_before * kUs;
    wait.items[EPOLL_ITEMS_BATCH] = told.events;
  }
  deliveries.on_interval(interval, {{1, "worker-1"}, {2, "worker-2"}});
  deliveries.on_waits(waits);
}

Deliveries deliveries_of(const std::vector<Told>& all, uint32_t max_events = 128) {
  Deliveries deliveries(Wanted{});
  tell(deliveries, all, max_events);
  deliveries.finish();
  return deliveries;
}

using Stages = std::array<uint64_t, kJoinStages>;  // in us

// What comes of a message that was due, sent and received so; nothing: all zero.
Stages stages_of(const Deliveries& deliveries, uint64_t due, uint64_t sent, uint64_t received) {
  const auto found = attribute({due * kUs, sent * kUs, received * kUs, 0},
                               deliveries.of_instance(kInstance), deliveries.handlers());
  Stages stages{};
  if (!found) return stages;
  for (size_t i = 0; i < kJoinStages; ++i) stages[i] = found->ns[i] / kUs;
  EXPECT_EQ(std::accumulate(found->ns.begin(), found->ns.end(), uint64_t{0}),
            (received - due) * kUs);
  return stages;
}

TEST(Join, ASleepingWorkerIsWokenRunsAndHandles) {
  // Ready at 110, woken at 120, running at 170, delivered at 180, handled at 480.
  const Deliveries deliveries = deliveries_of({{180, 70, 50, 10}, {900, 5, 0, 0, 300}});
  const Stages stages = stages_of(deliveries, 60, 100, 500);
  EXPECT_EQ(stages, (Stages{40, 10, 0, 10, 50, 10, 300, 20}));
}

TEST(Join, TheAnswerMayComeBeforeTheHandlerEnds) {
  const Deliveries deliveries = deliveries_of({{180, 70, 50, 10}, {900, 5, 0, 0, 300}});
  EXPECT_EQ(stages_of(deliveries, 100, 100, 200), (Stages{0, 10, 0, 10, 50, 10, 20, 0}));
}

TEST(Join, BehindTheHandlersOfOthers) {
  // In the handler from 100 to 400; the message is ready at 150 and delivered at 410.
  const Deliveries deliveries =
      deliveries_of({{100, 5, 0, 0}, {410, 260, 0, 0, 300}, {900, 5, 0, 0, 50}});
  EXPECT_EQ(stages_of(deliveries, 140, 140, 500), (Stages{0, 10, 250, 0, 0, 10, 50, 40}));
}

TEST(Join, ThroughSeveralFullBatches) {
  // One event at a time, 100 us each; what was ready at 40, 50, 60, 70 comes in this order.
  const std::vector<Told> all{{100, 60},
                              {200, 150, 0, 0, 100},
                              {300, 240, 0, 0, 100},
                              {400, 330, 0, 0, 100},
                              {600, 5, 0, 0, 100}};
  const Deliveries deliveries = deliveries_of(all, 1);
  EXPECT_EQ(stages_of(deliveries, 65, 65, 505), (Stages{0, 5, 300, 0, 0, 30, 100, 5}));
  // However late the client reads: what the last delivery had was ready long after.
  EXPECT_EQ(stages_of(deliveries, 65, 65, 705), (Stages{0, 5, 300, 0, 0, 30, 100, 205}));
  // Where batches are not full, the first delivery has all that was ready.
  EXPECT_EQ(stages_of(deliveries_of(all, 2), 65, 65, 505)[kJoinQueue], 0U);
}

// As asyncio has it, which asks for as many events as it has descriptors: a batch that was not full
// does not become so when there are fewer of them later.
TEST(Join, TheLimitIsTheLargestOfAll) {
  const std::vector<Told> all{{100, 60}, {200, 190, 0, 0, 100}, {300, 5, 0, 0, 100}};
  Deliveries deliveries{Wanted{}};
  tell(deliveries, all, 4);
  model::EpollSnapshot later;
  model::WorkerStats worker;
  worker.key = {kInstance, 1, 5, 1, 100};
  worker.max_events = 1;
  later.workers.push_back(worker);
  deliveries.on_interval(later, {});
  deliveries.finish();
  EXPECT_EQ(stages_of(deliveries, 65, 65, 210)[kJoinHandler], 100U) << "in the first";
}

TEST(Join, OnlyWhatWasDeliveredDuringTheLoadIsKept) {
  Deliveries deliveries({.from_ns = 150 * kUs, .to_ns = 250 * kUs, .connections = {}});
  tell(deliveries, {{.time = 100}, {.time = 200}, {.time = 300}});
  deliveries.finish();
  EXPECT_EQ(deliveries.count(), 1U);
}

TEST(Join, UnknownAgesArePassedOver) {
  const Deliveries deliveries = deliveries_of({{100, 60},
                                               {200, 0, 0, 0, 100},
                                               {300, 0, 0, 0, 100},
                                               {400, 340, 0, 0, 100},
                                               {600, 5, 0, 0, 100}},
                                              1);
  EXPECT_EQ(stages_of(deliveries, 65, 65, 505)[kJoinHandler], 100U);
  EXPECT_EQ(stages_of(deliveries, 65, 65, 505)[kJoinNetworkClient], 5U);
}

TEST(Join, ReadByAHandlerThatWasUnderWay) {
  const Deliveries deliveries = deliveries_of({{100, 5}, {900, 5, 0, 0, 300}});
  EXPECT_EQ(stages_of(deliveries, 200, 200, 350), (Stages{0, 0, 0, 0, 0, 0, 150, 0}));
  EXPECT_EQ(stages_of(deliveries, 390, 390, 450), (Stages{0, 0, 0, 0, 0, 0, 10, 50}));
  EXPECT_EQ(stages_of(deliveries, 500, 500, 600), Stages{}) << "nobody was there";
  EXPECT_EQ(stages_of(deliveries, 50, 50, 60), Stages{}) << "before all deliveries";
  EXPECT_EQ(stages_of(deliveries, 950, 950, 990), Stages{}) << "after the last one";
}

// Sent at 100; somebody else's event returns at 104, while the message is on its way.
TEST(Join, AfterADeliveryThatCameTooEarly) {
  const Deliveries deliveries =
      deliveries_of({{104, 60}, {1110, 1000, 0, 0, 1000}, {2000, 5, 0, 0, 20}});
  EXPECT_EQ(stages_of(deliveries, 100, 100, 1140), (Stages{0, 10, 994, 0, 0, 6, 20, 10}));
}

// Waits were dropped, and what is told is the handler of one of those; or the file is made up.
TEST(Join, AHandlerEndsWhereTheNextDeliveryIs) {
  const Deliveries deliveries = deliveries_of({{.time = 100}, {200, 5, 0, 0, 500}, {900}});
  EXPECT_EQ(stages_of(deliveries, 50, 50, 400)[kJoinHandler], 100U);
}

// So soon after it was sent nothing is delivered: that one was under way.
TEST(Join, AMessageIsNotDeliveredAtOnce) {
  const Deliveries deliveries =
      deliveries_of({{.time = 102}, {200, 0, 0, 0, 50}, {300, 0, 0, 0, 20}});
  EXPECT_EQ(stages_of(deliveries, 100, 100, 230), (Stages{0, 0, 50, 0, 0, 50, 20, 10}));
}

// What a thread does for another instance is no time in which it slept.
TEST(Join, TheThreadsHandlersOnOtherInstancesCount) {
  const Deliveries deliveries =
      deliveries_of({{.time = 1000},
                     {.time = 1020, .handler_before = 10, .instance = kOther},
                     {1450, 50, 0, 40, 100},
                     {.time = 2000, .handler_before = 20}});
  EXPECT_EQ(stages_of(deliveries, 1390, 1390, 1480), (Stages{0, 10, 0, 10, 0, 40, 20, 10}));
}

TEST(Join, OtherThreadsOfTheInstanceAreNotInTheWay) {
  const Deliveries deliveries = deliveries_of({{.time = 100, .tid = 1},
                                               {.time = 110, .tid = 2},
                                               {.time = 410, .handler_before = 300, .tid = 1},
                                               {.time = 450, .handler_before = 20, .tid = 2}});
  // Sent at 140: thread 1 has been in its handler since 100, and takes it at 410.
  EXPECT_EQ(stages_of(deliveries, 140, 140, 500)[kJoinQueue], 260U);
}

LoadRecord load_of(const std::vector<LoadMessage>& messages) {
  LoadRecord load;
  load.path = "load.json";
  load.url = "ws://127.0.0.1:9001/";
  load.mode = "open";
  load.ended = true;
  load.connections = {{0, {"127.0.0.1:50000", "127.0.0.1:9001"}},
                      {1, {"127.0.0.1:50001", "127.0.0.1:9001"}}};
  load.messages = messages;
  return load;
}

TEST(Join, ConnectionsTellWhose) {
  Deliveries deliveries({.connections = ends_of(load_of({}))});
  tell(deliveries, {{.time = 100, .tid = 1}, {.time = 900, .handler_before = 10, .tid = 1}});
  tell(deliveries, {{.time = 150, .tid = 2, .instance = kOther},
                    {.time = 900, .handler_before = 40, .tid = 2, .instance = kOther}});
  const std::vector<record::WatchedConnection> seen{
      {kInstance, "127.0.0.1:9001", "127.0.0.1:50000"},
      {kOther, "127.0.0.1:9001", "127.0.0.1:50001"}};
  deliveries.on_connections(1'000 * kUs, seen);
  deliveries.finish();
  const Join result = join(load_of({{50 * kUs, 50 * kUs, 200 * kUs, 0},
                                    {50 * kUs, 50 * kUs, 200 * kUs, 1},
                                    {50 * kUs, 50 * kUs, 200 * kUs, 2},
                                    {50 * kUs, 50 * kUs, 0, 1},
                                    {10 * kUs, 10 * kUs, 20 * kUs, 0}}),
                           deliveries);
  EXPECT_EQ(result.attributed, 2U);
  EXPECT_EQ(result.of_unknown_connections, 1U);
  EXPECT_EQ(result.unanswered, 1U);
  EXPECT_EQ(result.without_delivery, 1U);
  const JoinGroup& all = result.groups.at(0);
  ASSERT_EQ(all.workers.size(), 2U);
  EXPECT_EQ(all.workers.at(1).ns[kJoinHandler], 10 * kUs);
  EXPECT_EQ(all.workers.at(2).ns[kJoinHandler], 40 * kUs);
  const std::string text = join_text(load_of({}), deliveries, result);
  for (const char* part : {"worker-2[2]", "all: delivery", "1 messages were not answered",
                           "1 messages came over connections", "1 messages have no epoll_wait"}) {
    EXPECT_NE(text.find(part), std::string::npos) << part << " in " << text;
  }
}

// A recording of another server, which serves others: nothing is made of it.
TEST(Join, OfAServerThatIsSeenToServeOthersAlone) {
  Deliveries deliveries({.connections = ends_of(load_of({}))});
  tell(deliveries, {{.time = 100}, {.time = 900, .handler_before = 10}});
  const LoadRecord load = load_of({{50 * kUs, 50 * kUs, 200 * kUs, 0}});
  deliveries.finish();
  EXPECT_EQ(join(load, deliveries).attributed, 1U) << "no connection is known: it may be";
  const record::WatchedConnection other{kInstance, "127.0.0.1:6379", "127.0.0.1:50000"};
  deliveries.on_connections(1'000 * kUs, {&other, 1});
  EXPECT_EQ(join(load, deliveries).attributed, 0U);
  EXPECT_EQ(join(load, deliveries).of_unknown_connections, 1U);
}

// A port is used again, by a connection to another worker.
TEST(Join, WhoWatchedAConnectionLastHasIt) {
  Deliveries deliveries({.connections = {{"c", "s"}}});
  tell(deliveries, {{.time = 100}, {.time = 100, .tid = 2, .instance = kOther}});
  const record::WatchedConnection first{kInstance, "s", "c"};
  const record::WatchedConnection second{kOther, "s", "c"};
  deliveries.on_connections(100, {&first, 1});
  deliveries.on_connections(200, {&second, 1});
  deliveries.finish();
  EXPECT_EQ(deliveries.instance_of({"c", "s"}, 50), kInstance);
  EXPECT_EQ(deliveries.instance_of({"c", "s"}, 199), kInstance);
  EXPECT_EQ(deliveries.instance_of({"c", "s"}, 200), kOther);
  EXPECT_EQ(deliveries.instance_of({"c", "t"}, 200), 0U);
}

TEST(Join, TheTailIsAboveItsQuantile) {
  std::vector<Told> told{{.time = 1}};
  std::vector<LoadMessage> messages;
  for (uint64_t i = 1; i <= 1000; ++i) {
    const uint64_t at = i * 1000;
    const uint64_t handler = i <= 990 ? 20 : 500;
    told.push_back({.time = at, .ready_to_delivered = 3});
    messages.push_back({(at - 5) * kUs, (at - 5) * kUs, (at + handler) * kUs, 0});
  }
  const Join result = join(load_of(messages), deliveries_of(told));
  EXPECT_EQ(result.attributed, 1000U);
  EXPECT_EQ(result.groups[0].all.messages, 1000U);
  EXPECT_EQ(result.groups[1].name, "p99");
  EXPECT_LE(result.groups[1].all.messages, 1000U);
  EXPECT_EQ(result.groups[2].from_ns, 505 * kUs);
  EXPECT_EQ(result.groups[2].all.messages, 10U);
}

constexpr const char* kHead =
    R"({"type":"load_record","schema_version":1,"clock":"monotonic","boot_id":"b","url":"ws://h/",)"
    R"("mode":"closed","start_ns":5,"end_ns":900,"realtime_offset_ns":-1,"sample_every":2,"messages":2})"
    "\n";

LoadRecord read(const std::string& text) {
  const TempDir directory;
  write_text(directory.file("load.json"), text);
  return read_load_record(directory.file("load.json"));
}

TEST(LoadRecord, ComesBackAsDocumented) {
  const LoadRecord load =
      read(std::string(kHead) +
           R"({"type":"connection","connection":7,"local":"[::1]:54013","peer":"[::1]:9001"})"
           "\n{\"m\":[7,0,10,20,30]}\n{\"m\":[7,1,40,50,null]}\n{\"type\":\"later\"}\n"
           "{\"type\":\"end\",\"messages\":2}\n");
  EXPECT_EQ(load.mode, "closed");
  EXPECT_EQ(load.boot_id, "b");
  EXPECT_EQ(load.start_ns, 5U);
  EXPECT_EQ(load.sample_every, 2U);
  EXPECT_EQ(load.connections.at(7).local, "[::1]:54013");
  ASSERT_EQ(load.messages.size(), 2U);
  EXPECT_EQ(load.messages[0].latency_ns(), 20U);
  EXPECT_EQ(load.messages[1].received_ns, 0U);
  EXPECT_TRUE(load.ended);
}

// A load that was killed in mid-line: what is whole counts.
TEST(LoadRecord, CutShort) {
  const LoadRecord load = read(std::string(kHead) + "{\"m\":[7,0,10,20,30]}\n{\"m\":[7,1,4");
  EXPECT_EQ(load.messages.size(), 1U);
  EXPECT_FALSE(load.ended);
}

TEST(LoadRecord, WhatIsNoneIsSaidWithItsLine) {
  const auto error = [](const std::string& line) {
    return error_of([&] { read(std::string(kHead) + line + "\n"); });
  };
  for (const char* line :
       {"nonsense", R"({"m":[1,2,3]})", R"({"m":5})", R"({"m":[0,0,-1,2,3]})",
        R"({"m":[0,0,1e300,2,3]})", R"({"m":[4294967296,0,1,2,3]})", R"({"m":[0,0,3,2,1]})",
        R"({"no":"type"})", R"({"type":"connection"})", "[]"}) {
    EXPECT_NE(error(line).find("load.json line 2"), std::string::npos) << line << error(line);
    EXPECT_NE(error(line).find("epulse-load --record"), std::string::npos) << line;
  }
  EXPECT_NE(error_of([] { read("{}\n"); }).find("line 1"), std::string::npos);
  EXPECT_NE(error("nonsense").find("line 2 is no JSON"), std::string::npos);
  EXPECT_NE(error_of([] { read("EPULSE\x02\nblocks"); }).find("belongs after -i"),
            std::string::npos);
  EXPECT_NE(error_of([] { read(""); }).find("is empty"), std::string::npos);
  EXPECT_NE(error_of([] { read_load_record("/nowhere/load.json"); }).find("No such file"),
            std::string::npos);
}

}  // namespace
}  // namespace epulse::report
