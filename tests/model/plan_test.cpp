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
  facts.rdonly_cast = facts.kprobes = true;
  for (const char* function : {"ep_poll_callback", "ep_eventpoll_poll", "do_epoll_wait",
                               "do_epoll_create", "ep_send_events"}) {
    facts.functions[function] = 1;
  }
  return facts;
}

Quality quality(const Plan& plan, const std::string& metric) {
  for (const MetricPlan& candidate : plan.metrics) {
    if (candidate.name == metric) return candidate.quality;
  }
  ADD_FAILURE() << "no metric " << metric;
  return Quality::kAbsent;
}

// As the hardened kernels that Debian does not build.
kernel::Facts hardened_facts() {
  kernel::Facts facts = all_facts();
  facts.trampoline_errno = EPERM;
  facts.kprobes = false;
  return facts;
}

void expect_contains(const std::string& text, const char* part) {
  EXPECT_NE(text.find(part), std::string::npos) << text;
}

TEST(Plan, WithEverythingTheFentryBackend) {
  const Plan result = plan(all_facts());
  EXPECT_EQ(result.backend, Backend::kFentry);
  EXPECT_EQ(result.drain, DrainHook::kSendEvents);
  EXPECT_TRUE(result.task_storage);
  EXPECT_TRUE(result.fast_reads);
  EXPECT_TRUE(result.why.empty());
  for (const MetricPlan& metric : result.metrics) {
    EXPECT_EQ(metric.quality, Quality::kExact) << metric.name;
  }
}

TEST(Plan, WithoutTrampolinesKprobes) {
  kernel::Facts facts = all_facts();
  facts.trampoline_errno = EPERM;
  const Plan result = plan(facts);
  EXPECT_EQ(result.backend, Backend::kKprobe);
  EXPECT_EQ(quality(result, "depth fresh"), Quality::kExact);
  expect_contains(result.why, "fentry: BPF trampolines are refused");
}

TEST(Plan, HardenedTheTracepointBackend) {
  const Plan result = plan(hardened_facts());
  EXPECT_EQ(result.backend, Backend::kTracepoint);
  EXPECT_EQ(result.drain, DrainHook::kNone);
  expect_contains(result.why, "kprobe: the kernel has no kprobes");
  EXPECT_EQ(quality(result, "depth listed"), Quality::kExact);
  EXPECT_EQ(quality(result, "depth fresh"), Quality::kEstimated);
  EXPECT_EQ(quality(result, "ready to woken"), Quality::kEstimated);
  EXPECT_EQ(quality(result, "handler"), Quality::kExact);
}

// Attaching to the epoll calls' tracepoints, too, would fail: those programs are not loaded.
TEST(Plan, WithFunctionHooksTracefsChangesNothing) {
  kernel::Facts facts = all_facts();
  facts.syscall_tracepoints["sys_enter_epoll_wait"] = 1;
  EXPECT_EQ(plan(facts).backend, Backend::kFentry);
  EXPECT_EQ(plan(facts).waits, WaitHook::kFunctions);
}

// A kretprobe on do_epoll_wait() would lose returns.
TEST(Plan, WithKprobesWaitsAreSeenBySystemCalls) {
  kernel::Facts facts = all_facts();
  facts.trampoline_errno = EPERM;
  EXPECT_EQ(plan(facts).backend, Backend::kKprobe);
  EXPECT_EQ(plan(facts).waits, WaitHook::kRawSyscalls);
  facts.syscall_tracepoints["sys_enter_epoll_wait"] = 1;
  EXPECT_EQ(plan(facts).waits, WaitHook::kSyscallTracepoints);
}

TEST(Plan, WithTracefsNoProgramRunsForEverySystemCall) {
  kernel::Facts facts = hardened_facts();
  EXPECT_EQ(plan(facts).waits, WaitHook::kRawSyscalls);
  facts.syscall_tracepoints["sys_enter_epoll_wait"] = 1;
  facts.tp_sys_enter = facts.tp_sys_exit = false;
  EXPECT_EQ(plan(facts).backend, Backend::kTracepoint);
  EXPECT_EQ(plan(facts).waits, WaitHook::kSyscallTracepoints);
}

TEST(Plan, TheDrainHookIsWhatTheKernelHasNotInlined) {
  kernel::Facts facts = all_facts();
  facts.functions["ep_send_events"] = 0;
  EXPECT_EQ(plan(facts).drain, DrainHook::kNone);
  EXPECT_FALSE(plan(facts).scan_end);
  facts.functions["ep_done_scan"] = 1;
  EXPECT_TRUE(plan(facts).scan_end);
  facts.functions["ep_send_events_proc"] = 1;
  EXPECT_EQ(plan(facts).drain, DrainHook::kSendEventsProc);
}

TEST(Plan, WithoutTaskStorageThreadsAreInAHashMap) {
  kernel::Facts facts = all_facts();
  facts.task_storage = false;
  const Plan result = plan(facts);
  EXPECT_EQ(result.backend, Backend::kFentry);
  EXPECT_FALSE(result.task_storage);
}

TEST(Plan, WhatTheKernelRefusesAtLoadIsLeftOut) {
  const Plan result = plan(all_facts(), {{Backend::kFentry, "cannot load"}});
  EXPECT_EQ(result.backend, Backend::kKprobe);
  EXPECT_EQ(result.why, "fentry: cannot load");
  EXPECT_EQ(plan(all_facts(), only(Backend::kTracepoint)).backend, Backend::kTracepoint);
  EXPECT_EQ(plan(all_facts(), only(Backend::kProcfs)).why, "procfs was asked for");
}

TEST(Plan, NamesOfBackends) {
  for (const Backend backend :
       {Backend::kFentry, Backend::kKprobe, Backend::kTracepoint, Backend::kProcfs}) {
    EXPECT_EQ(backend_named(to_string(backend)), backend);
  }
  EXPECT_FALSE(backend_named("auto"));
}

TEST(Plan, EachMissingFactIsNamed) {
  const auto why_without = [](auto change) {
    kernel::Facts facts = hardened_facts();
    change(facts);
    const Plan result = plan(facts);
    EXPECT_EQ(result.backend, Backend::kProcfs);
    EXPECT_EQ(quality(result, "woken to running"), Quality::kEstimated);
    EXPECT_EQ(quality(result, "depth listed"), Quality::kAbsent);
    return result.why;
  };
  using kernel::Facts;
  const auto contains = expect_contains;
  contains(why_without([](Facts& f) { f.bpf_errno = EPERM; }), "CAP_BPF");
  contains(why_without([](Facts& f) { f.bpf_errno = EPERM, f.effective_root = true; }),
           "container");
  contains(why_without([](Facts& f) { f.lockdown_confidentiality = true; }), "locked down");
  contains(why_without([](Facts& f) { f.btf = false; }), "CONFIG_DEBUG_INFO_BTF");
  contains(why_without([](Facts& f) { f.ring_buffer = false; }), "5.8");
  contains(why_without([](Facts& f) { f.tp_sys_exit = false; }), "CONFIG_FTRACE_SYSCALLS");
  contains(why_without([](Facts& f) { f.tp_sched_waking = false; }), "sched");
  contains(why_without([](Facts& f) { f.tp_sk_data_ready = false; }), "sk_data_ready");
  contains(why_without([](Facts& f) { f.functions["ep_poll_callback"] = 0; }), "kptr_restrict");
  contains(why_without([](Facts& f) { f.own_proc = false; }), "another pid namespace");
  contains(why_without([](Facts& f) { f.iter_task_file = false; }), "task_file");
}

TEST(Plan, AFunctionThatIsInlinedRulesFentryOut) {
  kernel::Facts facts = all_facts();
  facts.functions["do_epoll_wait"] = 0;
  const Plan result = plan(facts);
  EXPECT_EQ(result.backend, Backend::kKprobe);
  expect_contains(result.why, "fentry: the kernel has no do_epoll_wait()");
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
