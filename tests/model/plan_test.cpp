#include "agent/probes/plan.hpp"

#include <gtest/gtest.h>

#include <cerrno>

namespace epulse::probes {
namespace {

kernel::Facts all_facts() {
  kernel::Facts facts;
  facts.btf = facts.task_storage = facts.ring_buffer = facts.schedstat = true;
  facts.tp_sk_data_ready = facts.tp_sched_waking = facts.tp_sched_switch = true;
  facts.tp_sys_enter = facts.tp_sys_exit = facts.iter_task_file = true;
  facts.ep_poll_callback = facts.ep_eventpoll_poll = 1;
  return facts;
}

Quality quality(const Plan& plan, const std::string& metric) {
  for (const MetricPlan& candidate : plan.metrics) {
    if (candidate.name == metric) return candidate.quality;
  }
  ADD_FAILURE() << "no metric " << metric;
  return Quality::kAbsent;
}

TEST(Plan, WithEverythingTheTracepointBackend) {
  const Plan result = plan(all_facts());
  EXPECT_EQ(result.backend, Backend::kTracepoint);
  EXPECT_TRUE(result.why.empty());
  EXPECT_EQ(quality(result, "depth listed"), Quality::kExact);
  EXPECT_EQ(quality(result, "depth fresh"), Quality::kEstimated);
  EXPECT_EQ(quality(result, "ready to woken"), Quality::kEstimated);
  EXPECT_EQ(quality(result, "handler"), Quality::kExact);
}

TEST(Plan, EachMissingFactIsNamed) {
  const auto why_without = [](auto change) {
    kernel::Facts facts = all_facts();
    change(facts);
    const Plan result = plan(facts);
    EXPECT_EQ(result.backend, Backend::kProcfs);
    EXPECT_EQ(quality(result, "woken to running"), Quality::kEstimated);
    EXPECT_EQ(quality(result, "depth listed"), Quality::kAbsent);
    return result.why;
  };
  using kernel::Facts;
  const auto contains = [](const std::string& text, const char* part) {
    EXPECT_NE(text.find(part), std::string::npos) << text;
  };
  contains(why_without([](Facts& f) { f.bpf_errno = EPERM; }), "CAP_BPF");
  contains(why_without([](Facts& f) { f.bpf_errno = EPERM, f.effective_root = true; }),
           "container");
  contains(why_without([](Facts& f) { f.lockdown_confidentiality = true; }), "locked down");
  contains(why_without([](Facts& f) { f.btf = false; }), "CONFIG_DEBUG_INFO_BTF");
  contains(why_without([](Facts& f) { f.task_storage = false; }), "5.11");
  contains(why_without([](Facts& f) { f.ring_buffer = false; }), "5.8");
  contains(why_without([](Facts& f) { f.tp_sys_exit = false; }), "sys_exit");
  contains(why_without([](Facts& f) { f.tp_sched_waking = false; }), "sched");
  contains(why_without([](Facts& f) { f.tp_sk_data_ready = false; }), "sk_data_ready");
  contains(why_without([](Facts& f) { f.ep_poll_callback = 0; }), "kptr_restrict");
  contains(why_without([](Facts& f) { f.host_pid_namespace = false; }), "pid namespace");
  contains(why_without([](Facts& f) { f.iter_task_file = false; }), "task_file");
}

TEST(Plan, WithoutSchedulerStatisticsNothingIsLeft) {
  kernel::Facts facts = all_facts();
  facts.btf = facts.schedstat = false;
  for (const MetricPlan& metric : plan(facts).metrics) {
    EXPECT_EQ(metric.quality, Quality::kAbsent) << metric.name;
    EXPECT_FALSE(metric.why.empty()) << metric.name;
  }
}

}  // namespace
}  // namespace epulse::probes
