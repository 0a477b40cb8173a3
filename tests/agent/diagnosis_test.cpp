#include "agent/tuners/diagnosis.hpp"

#include <gtest/gtest.h>

namespace epulse::tuners {
namespace {

using model::CpuSet;
using model::WorkerStats;

constexpr uint64_t kSecond = 1'000'000'000;

// Two workers on CPUs 0 and 1 that share everything fairly, for a second.
Observed healthy() {
  Observed observed;
  observed.process = "server[4711]";
  observed.sched.seconds = 1;
  observed.interference.seconds = 1;
  observed.epoll.emplace();
  for (int i = 0; i < 2; ++i) {
    model::ThreadSched thread;
    thread.tid = 100 + i;
    thread.name = "worker";
    thread.cpu = i;
    thread.is_worker = true;
    observed.sched.threads.push_back(thread);
    WorkerStats stats;
    stats.key.epoll_id = 0xA0 + static_cast<uint64_t>(i);
    stats.key.tid = static_cast<uint32_t>(thread.tid);
    stats.items[EPOLL_ITEMS_BATCH].record(10, 500);
    stats.counters[EPOLL_COUNTER_WAKEUPS] = 500;
    observed.epoll->workers.push_back(stats);
    observed.interference.cpus.push_back({i, 0.02, 0});
  }
  observed.listeners_of_one_port = 2;
  return observed;
}

std::vector<Proposal> found(const Observed& observed, const model::CpuTopology& topology = {}) {
  return diagnose(observed, topology);
}

// The one finding, or "nothing", or both their names.
std::string scenario(const Observed& observed, const model::CpuTopology& topology = {}) {
  std::string names;
  for (const Proposal& proposal : found(observed, topology)) {
    names += (names.empty() ? "" : " ") + proposal.scenario;
  }
  return names.empty() ? "nothing" : names;
}

bool says(const Proposal& proposal, const char* text) {
  return (proposal.evidence + '\n' + proposal.by_hand).find(text) != std::string::npos;
}

TEST(Diagnosis, NothingIsWrongWithAHealthyServer) {
  EXPECT_EQ(scenario(healthy()), "nothing");
  EXPECT_EQ(scenario(Observed{}), "nothing") << "nothing known, nothing said";
}

TEST(Diagnosis, LifoWakeUpsOfASharedEpoll) {
  Observed observed = healthy();
  observed.epoll->workers[1].key.epoll_id = observed.epoll->workers[0].key.epoll_id;
  EXPECT_EQ(scenario(observed), "nothing") << "shared, and shared fairly";
  observed.epoll->workers[0].items[EPOLL_ITEMS_BATCH].record(10, 2000);
  ASSERT_EQ(scenario(observed), "diagnosis.lifo-wakeups");
  const Proposal proposal = found(observed)[0];
  EXPECT_TRUE(says(proposal, "worker[100] took 25000 events, 1.7 times the mean, another 5000"))
      << proposal.evidence;
  EXPECT_TRUE(says(proposal, "SO_REUSEPORT"));
  observed.epoll->workers[0].items[EPOLL_ITEMS_BATCH] = model::Histogram(model::kItemsShape);
  observed.epoll->workers[0].items[EPOLL_ITEMS_BATCH].record(10, 50);
  observed.epoll->workers[1].items[EPOLL_ITEMS_BATCH] = model::Histogram(model::kItemsShape);
  EXPECT_EQ(scenario(observed), "nothing") << "500 events may fall as they like";
}

TEST(Diagnosis, ReuseportSkewByConnectionsWhereTheServerTells) {
  Observed observed = healthy();
  observed.workers = {{100, 90}, {101, 10}};
  ASSERT_EQ(scenario(observed), "diagnosis.reuseport-skew");
  const Proposal proposal = found(observed)[0];
  EXPECT_TRUE(says(proposal, "worker[100] has 90 connections, 1.8 times the mean of 2 workers"))
      << proposal.evidence;
  EXPECT_TRUE(says(proposal, "SO_ATTACH_REUSEPORT_EBPF"));
  observed.bundled = true;
  EXPECT_EQ(found(observed)[0].by_hand, "epulse-ws --accept-steering");
  observed.workers = {{100, 55}, {101, 45}};
  EXPECT_EQ(scenario(observed), "nothing") << "what a hash does";
  observed.workers = {{100, 5}, {101, 1}};
  EXPECT_EQ(scenario(observed), "nothing") << "too few to speak of";
  observed.workers = {{100, 90}, {101, 10}};
  observed.listeners_of_one_port = 1;
  EXPECT_EQ(scenario(observed), "nothing") << "no hash at work";
}

TEST(Diagnosis, ReuseportSkewByEventsOfAForeignServer) {
  Observed observed = healthy();
  observed.epoll->workers[1].items[EPOLL_ITEMS_BATCH].record(10, 2000);
  ASSERT_EQ(scenario(observed), "diagnosis.reuseport-skew");
  EXPECT_TRUE(says(found(observed)[0], "worker[101] has 25000 events"));
}

TEST(Diagnosis, AHerd) {
  Observed observed = healthy();
  for (WorkerStats& worker : observed.epoll->workers) {
    worker.counters[EPOLL_COUNTER_EMPTY_WAKEUPS] = 150;
  }
  ASSERT_EQ(scenario(observed), "diagnosis.herd");
  EXPECT_TRUE(says(found(observed)[0], "300 of 1000 wake-ups (30 %) of 2 threads"));
  EXPECT_TRUE(says(found(observed)[0], "EPOLLEXCLUSIVE"));
  observed.epoll->workers[1].counters[EPOLL_COUNTER_EMPTY_WAKEUPS] = 0;
  observed.epoll->workers[0].counters[EPOLL_COUNTER_EMPTY_WAKEUPS] = 300;
  EXPECT_EQ(scenario(observed), "nothing") << "one thread is no herd";
}

TEST(Diagnosis, PacketsFarFromTheWorkers) {
  model::CpuTopology topology;
  for (int cpu = 0; cpu < 4; ++cpu) {
    const CpuSet cache = CpuSet::parse(cpu < 2 ? "0-1" : "2-3").value();
    topology.cpus[cpu] = {CpuSet::of(cpu), cache, 0};
  }
  Observed observed = healthy();
  observed.interference.cpus.push_back({3, 0.12, 0});
  ASSERT_EQ(scenario(observed, topology), "diagnosis.irq-apart");
  const Proposal proposal = found(observed, topology)[0];
  EXPECT_TRUE(says(proposal, "CPU 3 spends 12 % of its time on softirqs")) << proposal.evidence;
  EXPECT_TRUE(says(proposal, "CPUs 0,1, which share no cache with it"));
  EXPECT_TRUE(says(proposal, "echo 0,1 > /proc/irq/N/smp_affinity_list"));
  EXPECT_EQ(scenario(observed), "nothing") << "all CPUs are alike";
  observed.interference.cpus.back().softirq_share = 0.8;
  EXPECT_EQ(scenario(observed), "diagnosis.irq-saturated");
  observed.sched.threads[0].cpu = 3;
  observed.interference.cpus.back().softirq_share = 0.3;
  EXPECT_EQ(scenario(observed, topology), "nothing") << "a worker is there";
}

TEST(Diagnosis, AQuotaThatIsUsedUp) {
  Observed observed = healthy();
  observed.interference.throttled_times = 8;
  observed.interference.throttled_ns = 300'000'000;
  observed.cgroup = "/system.slice/app.service";
  ASSERT_EQ(scenario(observed), "diagnosis.throttled");
  EXPECT_TRUE(
      says(found(observed)[0], "used up 8 times in 1.0 s, and held its threads up for 300 ms/s"));
  EXPECT_TRUE(says(found(observed)[0], "/sys/fs/cgroup/system.slice/app.service/cpu.max"));
  observed.interference.throttled_ns = 30'000'000;
  EXPECT_EQ(scenario(observed), "nothing");
}

TEST(Diagnosis, APreEmptorByName) {
  Observed observed = healthy();
  observed.blames = {{100, 555, "gzip", 80'000'000, 20}, {101, 555, "gzip", 20'000'000, 5}};
  ASSERT_EQ(scenario(observed), "diagnosis.pre-empted");
  const Proposal proposal = found(observed)[0];
  EXPECT_EQ(proposal.target, "gzip[555]");
  EXPECT_TRUE(says(proposal, "gzip[555] had the CPU for 100 ms/s")) << proposal.evidence;
  EXPECT_TRUE(says(proposal, "25 times, 4000 us each"));
  EXPECT_TRUE(says(proposal, "renice 19 -p 555"));
  observed.real_time = {555};
  EXPECT_TRUE(says(found(observed)[0], "gzip[555], a real-time thread, had the CPU"));
  EXPECT_TRUE(says(found(observed)[0], "chrt -o -p 0 555")) << "nice is nothing to it";
  observed.blames = {{100, 101, "worker", 100'000'000, 25}};
  EXPECT_EQ(scenario(observed), "nothing") << "the other worker: affinity's business";
  observed.blames = {{100, 555, "gzip", 20'000'000, 25}};
  EXPECT_EQ(scenario(observed), "nothing");
  observed.blames = {{100, 0, "swapper/0", 100'000'000, 1000}};
  EXPECT_EQ(scenario(observed), "diagnosis.slow-idle");
}

TEST(Diagnosis, TheHypervisorsShare) {
  Observed observed = healthy();
  observed.interference.cpus[1].steal_share = 0.11;
  ASSERT_EQ(scenario(observed), "diagnosis.stolen");
  EXPECT_TRUE(says(found(observed)[0], "gives 11 % of CPU 1, where server[4711] has a worker"));
  observed.sched.threads[1].cpu = 0;
  EXPECT_EQ(scenario(observed), "nothing") << "nobody of ours is there";
}

TEST(Diagnosis, SeveralCausesEachWithItsRemedy) {
  Observed observed = healthy();
  observed.blames = {{100, 555, "gzip", 80'000'000, 20}};
  observed.interference.cpus[0].steal_share = 0.2;
  EXPECT_EQ(scenario(observed), "diagnosis.pre-empted diagnosis.stolen");
  for (const Proposal& proposal : found(observed)) {
    EXPECT_FALSE(proposal.target.empty() || proposal.evidence.empty() || proposal.figures.empty() ||
                 proposal.expected.empty() || proposal.by_hand.empty() || proposal.bounds.empty())
        << proposal.scenario;
  }
}

// Said when it has held for three intervals, once; again after an hour, or when it had been gone.
TEST(Diagnosis, IsNotSaidInEachInterval) {
  Observed observed = healthy();
  observed.interference.cpus[1].steal_share = 0.2;
  Diagnosis diagnosis;
  std::vector<uint64_t> said;
  for (uint64_t s = 1; s <= 4000; ++s) {
    const bool gone = s == 3900 || s == 2;
    const Findings found = diagnosis.step(gone ? healthy() : observed, s * kSecond);
    if (!found.news.empty()) said.push_back(s);
    EXPECT_EQ(found.standing.empty(), gone || s <= 5 || (s >= 3900 && s <= 3903) || s == 3605) << s;
  }
  EXPECT_EQ(said, (std::vector<uint64_t>{5, 3605, 3903}));
}

}  // namespace
}  // namespace epulse::tuners
