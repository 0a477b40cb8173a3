#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <initializer_list>
#include <string_view>

#include "agent/model/epoll_stats.hpp"
#include "agent/probes/attach.hpp"
#include "tests/integration/child.hpp"

// What the truth tests share: known workloads against the probe, whose figures must come out
// exactly.
namespace epulse::test {

// Inside a child, a failed check ends it: the parent sees work() fail.
void require(bool condition);

struct Pair {
  int near;  // in the epoll set
  int far;   // written to
};

Pair unix_pair();
Pair tcp_pair();
void write_byte(int fd);
void read_byte(int fd);
// Waits for a byte and leaves it there: on a busy CPU, TCP hands over what was sent only later.
void await_byte(int fd);
void watch(int epoll, int fd, uint32_t events);
void sleep_ns(uint64_t ns);
// Waits `count` times on an instance of its own, each time for one event.
void deliver(int count);

// The metrics that the running test shows to be right. With EPULSE_MATRIX set the program prints,
// for each metric, what the plan says of it and whether all tests that cover it passed.
void covers(std::initializer_list<std::string_view> metrics);

// The probe on `pid` (0: on those of the options), by the backend that EPULSE_BACKEND names, else
// the best that this host has; none where it has no BPF (plan.why). A backend that was asked for by
// name and is not there is a failure, not a skip.
probes::Attached attach(
    pid_t pid, probes::EpollProbeOptions options = {},
    const probes::EpollProbe::WaitHandler& handler = [](const epoll_wait_record&) {});

#define ATTACH_OR_SKIP(probe, ...)           \
  const auto attached = attach(__VA_ARGS__); \
  const auto& probe = attached.probe;        \
  if (!probe) GTEST_SKIP() << attached.plan.why

// All workers of the process, summed.
model::WorkerStats total(probes::EpollProbe& probe);

// A duration as the program under test can bound it from outside: it is no shorter than `inner` and
// no longer than `outer`. On a quiet machine the two are some 20 us apart, on an emulated one
// anything.
struct Bounds {
  uint64_t inner_ns;
  uint64_t outer_ns;
  uint64_t count;
  int skipped;
  uint32_t hog;  // thread id of who caused it

  void add(uint64_t inner, uint64_t outer) {
    inner_ns += inner;
    outer_ns += outer;
    ++count;
  }
};
void expect_within(uint64_t measured_ns, const Bounds& bounds);

}  // namespace epulse::test
