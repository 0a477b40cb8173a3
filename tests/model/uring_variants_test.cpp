// The tracepoints of each kernel, as its BTF has them.
#include "agent/probes/uring_variants.hpp"

#include <gtest/gtest.h>

#include <algorithm>

namespace epulse::probes {
namespace {

UringTracepoints linux_6_18() {
  return {.create = 5,
          .cqring_wait = 2,
          .submit_req = 1,
          .submit_sqe = 0,
          .submit_sqe_second_is_pointer = false,
          .queue_async_work = 2,
          .complete = 3,
          .complete_second_is_pointer = true,
          .complete_third_is_pointer = true,
          .cqe_overflow = 5,
          .req_failed = 3,
          .syscalls_preemptible = false};
}

UringTracepoints linux_6_12() {
  UringTracepoints has = linux_6_18();
  has.complete = 7;
  has.complete_third_is_pointer = false;
  return has;
}

UringTracepoints linux_6_1() {
  UringTracepoints has = linux_6_12();
  has.submit_req = 0;
  has.submit_sqe = 2;
  return has;
}

UringTracepoints linux_5_10() {
  return {.create = 5,
          .cqring_wait = 2,
          .submit_req = 0,
          .submit_sqe = 7,
          .submit_sqe_second_is_pointer = true,
          .queue_async_work = 5,
          .complete = 4,
          .complete_second_is_pointer = false,
          .complete_third_is_pointer = false,
          .cqe_overflow = 0,
          .req_failed = 0,
          .syscalls_preemptible = false};
}

void expect_programs(const UringTracepoints& has, std::vector<std::string> expected) {
  std::vector<std::string> programs = uring_variants(has).programs;
  std::sort(programs.begin(), programs.end());
  std::sort(expected.begin(), expected.end());
  EXPECT_EQ(programs, expected);
}

TEST(UringVariants, OfEachKernel) {
  expect_programs(linux_6_18(), {"on_create", "on_wait", "on_submit_req", "on_punt", "on_complete",
                                 "on_overflow", "on_rejected"});
  expect_programs(linux_6_12(), {"on_create", "on_wait", "on_submit_req", "on_punt",
                                 "on_complete_by_value", "on_overflow", "on_rejected"});
  expect_programs(linux_6_1(), {"on_create", "on_wait", "on_submit_sqe", "on_punt",
                                "on_complete_by_value", "on_overflow", "on_rejected"});
  expect_programs(linux_5_10(), {"on_create", "on_wait", "on_submit_sqe_of_ring", "on_punt_of_ring",
                                 "on_complete_by_name"});
}

// Since 7.2.
TEST(UringVariants, WhereProgramsArePreemptedSystemCallsAreToldTwice) {
  UringTracepoints has = linux_6_18();
  EXPECT_FALSE(uring_variants(has).syscalls_twice);
  has.syscalls_preemptible = true;
  EXPECT_TRUE(uring_variants(has).syscalls_twice);
  expect_programs(has,
                  {"on_create", "on_wait", "on_submit_req", "on_punt", "on_complete", "on_overflow",
                   "on_rejected", "on_syscall_enter_again", "on_syscall_exit_again"});
}

TEST(UringVariants, OnlyTheOldestCompletesWithoutNamingTheRequest) {
  EXPECT_TRUE(uring_variants(linux_6_1()).complete_names_request);
  EXPECT_FALSE(uring_variants(linux_6_1()).complete_precedes_tail);
  EXPECT_FALSE(uring_variants(linux_5_10()).complete_names_request);
  EXPECT_TRUE(uring_variants(linux_5_10()).complete_precedes_tail);
}

TEST(UringVariants, WhatIsMissingIsSaid) {
  EXPECT_TRUE(uring_variants(linux_5_10()).missing.empty());
  EXPECT_FALSE(uring_variants({}).missing.empty());
  UringTracepoints without_request = linux_5_10();
  without_request.submit_sqe_second_is_pointer = false;
  EXPECT_FALSE(uring_variants(without_request).missing.empty());
}

}  // namespace
}  // namespace epulse::probes
