// Constants that are set before load prune branches, so what the verifier sees differs: it must
// accept every shape that may be asked for, on every kernel.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "agent/error.hpp"
#include "agent/probes/epoll_list.hpp"
#include "agent/probes/epoll_object.hpp"
#include "agent/probes/pid_namespace.hpp"
#include "agent/probes/socket_probe.hpp"
#include "agent/probes/uring_probe.hpp"
#include "agent/probes/uring_variants.hpp"

namespace epulse::test {
namespace {

using probes::Backend;
using probes::DrainHook;
using probes::EpollProbeOptions;
using probes::TargetConstants;
using probes::WaitHook;

const EpollProbeOptions kNothing{.blame_from_ns = 0};
const EpollProbeOptions kEverything{
    .exception_depth = 500, .exception_wakeup_ns = 1000, .sample_every = 7};
// Several targets, and what they fork.
const EpollProbeOptions kFamily{.follow_children = true,
                                .exception_depth = 500,
                                .exception_wakeup_ns = 1000,
                                .sample_every = 7};

constexpr TargetConstants kOne{.tgid = 1, .user_level = 0};
constexpr TargetConstants kSeveral{.tgid = 0, .user_level = 0};
constexpr TargetConstants kOneFromAContainer{.tgid = 1, .user_level = 1};
constexpr TargetConstants kSeveralFromAContainer{.tgid = 0, .user_level = 1};

std::vector<DrainHook> drain_hooks(const kernel::Facts& facts, Backend backend) {
  std::vector<DrainHook> result = {DrainHook::kNone};
  if (backend == Backend::kTracepoint) return result;
  if (facts.has("ep_send_events")) result.push_back(DrainHook::kSendEvents);
  if (facts.has("ep_send_events_proc")) result.push_back(DrainHook::kSendEventsProc);
  return result;
}

std::vector<WaitHook> wait_hooks(Backend backend) {
  if (backend == Backend::kFentry) return {WaitHook::kFunctions};
  return {WaitHook::kRawSyscalls, WaitHook::kSyscallTracepoints};
}

// What a kernel may have or not: all that this one has, and each with less.
std::vector<bool> at_most(bool has) {
  return has ? std::vector<bool>{true, false} : std::vector<bool>{false};
}

class Shapes : public testing::TestWithParam<Backend> {
 protected:
  void SetUp() override {
    plan_ = plan(facts_, probes::only(GetParam()));
    if (plan_.backend != GetParam()) GTEST_SKIP() << plan_.why;
  }
  void expect_loads(const EpollProbeOptions& options, const TargetConstants& target,
                    const probes::Plan& shape) {
    try {
      probes::EpollObject(options, target, facts_, shape, 1).load();
    } catch (const Error& error) {
      ADD_FAILURE() << fmt::format(
          "drain {} waits {} scan_end {} task_storage {} fast_reads {}; sample_every {} depth {} "
          "wakeup {} blame {} children {}; target {} level {}: {}",
          static_cast<int>(shape.drain), static_cast<int>(shape.waits), shape.scan_end,
          shape.task_storage, shape.fast_reads, options.sample_every, options.exception_depth,
          options.exception_wakeup_ns, options.blame_from_ns, options.follow_children, target.tgid,
          target.user_level, error.what());
    }
  }

  const kernel::Facts facts_ = kernel::detect();
  probes::Plan plan_;
};

TEST_P(Shapes, OfEveryKernelAreAccepted) {
  for (const DrainHook drain : drain_hooks(facts_, GetParam())) {
    for (const WaitHook waits : wait_hooks(GetParam())) {
      for (const bool scan_end : at_most(plan_.scan_end)) {
        for (const bool task_storage : at_most(facts_.task_storage)) {
          for (const bool fast_reads : at_most(facts_.rdonly_cast)) {
            probes::Plan shape = plan_;
            shape.drain = drain;
            shape.waits = waits;
            shape.scan_end = scan_end;
            shape.task_storage = task_storage;
            shape.fast_reads = fast_reads;
            expect_loads(kFamily, kSeveral, shape);
          }
        }
      }
    }
  }
}

// Each option by itself, with none and with all of the others.
TEST_P(Shapes, OfEveryOptionAreAccepted) {
  for (const EpollProbeOptions& base : {kNothing, kEverything}) {
    expect_loads(base, kOne, plan_);
    expect_loads(base, kSeveral, plan_);
    expect_loads(base, kOneFromAContainer, plan_);
    EpollProbeOptions options = base;
    options.exception_depth = base.exception_depth == 0 ? 500 : 0;
    expect_loads(options, kOne, plan_);
    options = base;
    options.exception_wakeup_ns = base.exception_wakeup_ns == 0 ? 1000 : 0;
    expect_loads(options, kOne, plan_);
    options = base;
    options.sample_every = base.sample_every == 0 ? 7 : 0;
    expect_loads(options, kOne, plan_);
    options = base;
    options.blame_from_ns = base.blame_from_ns == 0 ? 20'000 : 0;
    expect_loads(options, kOne, plan_);
  }
  expect_loads(kFamily, kSeveralFromAContainer, plan_);
}

INSTANTIATE_TEST_SUITE_P(Epoll, Shapes,
                         testing::Values(Backend::kFentry, Backend::kKprobe, Backend::kTracepoint),
                         [](const auto& param) { return std::string(to_string(param.param)); });

// Beside the epoll probe: nothing but the kernel decides on their shape.
class OtherShapes : public testing::Test {
 protected:
  void SetUp() override {
    if (facts_.bpf_errno != 0) GTEST_SKIP() << "BPF is refused here: run as root";
  }
  std::vector<kernel::Facts> shapes() const {
    std::vector<kernel::Facts> result;
    for (const bool fast_reads : at_most(facts_.rdonly_cast)) {
      result.push_back(facts_);
      result.back().rdonly_cast = fast_reads;
    }
    return result;
  }
  const kernel::Facts facts_ = kernel::detect();
};

TEST_F(OtherShapes, OfTheListOfEpollsAreAccepted) {
  for (const kernel::Facts& shape : shapes()) {
    EXPECT_NO_THROW(probes::EpollLister{shape}) << "fast_reads " << shape.rdonly_cast;
  }
}

TEST_F(OtherShapes, OfTheListOfProcessesAreAccepted) {
  kernel::Facts container = facts_;
  container.host_pid_namespace = false;
  EXPECT_NO_THROW(probes::PidNamespace{container});
}

TEST_F(OtherShapes, OfTheSocketProbeAreAccepted) {
  for (const kernel::Facts& shape : shapes()) {
    EXPECT_NO_THROW(probes::SocketProbe::check_load(shape)) << "fast_reads " << shape.rdonly_cast;
  }
}

TEST_F(OtherShapes, OfTheRingProbeAreAccepted) {
  const auto variants = probes::uring_variants(probes::detect_uring_tracepoints());
  if (!variants.missing.empty()) GTEST_SKIP() << variants.missing;
  EXPECT_NO_THROW(probes::UringProbe::check_load());
}

}  // namespace
}  // namespace epulse::test
