// Constants that are set before load prune branches, so what the verifier sees differs: it must
// accept every combination, on every kernel.
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <vector>

#include "agent/error.hpp"
#include "agent/probes/epoll_probe.hpp"
#include "agent/probes/plan.hpp"

namespace epulse::test {
namespace {

using probes::Backend;
using probes::DrainHook;
using probes::EpollProbeOptions;
using probes::WaitHook;

const EpollProbeOptions kNothing{.tgids = {1}};
const EpollProbeOptions kEverything{
    .tgids = {1}, .exception_depth = 500, .exception_wakeup_ns = 1000, .sample_every = 7};
// Several targets, and what they fork.
const EpollProbeOptions kFamily{.tgids = {1},
                                .follow_children = true,
                                .exception_depth = 500,
                                .exception_wakeup_ns = 1000,
                                .sample_every = 7};

std::vector<DrainHook> hooks(const kernel::Facts& facts, Backend backend) {
  std::vector<DrainHook> result = {DrainHook::kNone};
  if (backend == Backend::kTracepoint) return result;
  if (facts.has("ep_send_events")) result.push_back(DrainHook::kSendEvents);
  if (facts.has("ep_send_events_proc")) result.push_back(DrainHook::kSendEventsProc);
  return result;
}

std::vector<WaitHook> wait_hooks(Backend backend) {
  if (backend != Backend::kTracepoint) return {WaitHook::kFunctions};
  return {WaitHook::kRawSyscalls, WaitHook::kSyscallTracepoints};
}

class Shapes : public testing::TestWithParam<Backend> {
 protected:
  void SetUp() override {
    plan_ = plan(facts_, probes::only(GetParam()));
    if (plan_.backend != GetParam()) GTEST_SKIP() << plan_.why;
  }
  void expect_loads(const EpollProbeOptions& options, const probes::Plan& shape) {
    try {
      probes::EpollProbe::check_load(options, facts_, shape);
    } catch (const Error& error) {
      ADD_FAILURE() << fmt::format(
          "hook {} task_storage {} fast_reads {} sample_every {} follow {}: {}",
          static_cast<int>(shape.drain), shape.task_storage, shape.fast_reads, options.sample_every,
          options.follow_children, error.what());
    }
  }

  const kernel::Facts facts_ = kernel::detect();
  probes::Plan plan_;
};

TEST_P(Shapes, OfEveryKernelAreAccepted) {
  for (const DrainHook hook : hooks(facts_, GetParam())) {
    for (const bool task_storage : {false, true}) {
      for (const bool fast_reads : {false, true}) {
        if ((task_storage && !facts_.task_storage) || (fast_reads && !facts_.rdonly_cast)) continue;
        probes::Plan shape = plan_;
        shape.drain = hook;
        shape.task_storage = task_storage;
        shape.fast_reads = fast_reads;
        for (const WaitHook waits : wait_hooks(GetParam())) {
          shape.waits = waits;
          expect_loads(kEverything, shape);
          expect_loads(kFamily, shape);
        }
      }
    }
  }
}

TEST_P(Shapes, OfEveryOptionAreAccepted) {
  expect_loads(kNothing, plan_);
  expect_loads({.tgids = {1}, .exception_depth = 500}, plan_);
  expect_loads({.tgids = {1}, .exception_wakeup_ns = 1000}, plan_);
  expect_loads({.tgids = {1}, .sample_every = 7}, plan_);
  expect_loads({.tgids = {1, 2}}, plan_);
}

INSTANTIATE_TEST_SUITE_P(Epoll, Shapes,
                         testing::Values(Backend::kFentry, Backend::kKprobe, Backend::kTracepoint),
                         [](const auto& param) { return std::string(to_string(param.param)); });

}  // namespace
}  // namespace epulse::test
