#pragma once

#include <string>
#include <vector>

namespace epulse::probes {

// The io_uring tracepoints of a kernel, as its BTF has them: how many arguments each has (0: there
// is no such tracepoint), and of what kind those are that moved.
struct UringTracepoints {
  int create = 0;
  int cqring_wait = 0;
  int submit_req = 0;
  int submit_sqe = 0;
  bool submit_sqe_second_is_pointer = false;  // the request
  int queue_async_work = 0;
  int complete = 0;
  bool complete_second_is_pointer = false;  // the request
  bool complete_third_is_pointer = false;   // the CQE
  int cqe_overflow = 0;
  int req_failed = 0;
  bool syscalls_preemptible = false;  // programs of sys_enter and sys_exit may be preempted
};

// Which programs of uring.bpf.c fit, and how they have to read what they get.
struct UringVariants {
  std::vector<std::string> programs;
  bool complete_names_request = true;
  bool complete_precedes_tail = false;
  bool syscalls_twice = false;  // by two programs each (bpf/uring/syscalls.h)
  std::string missing;          // what the probe cannot do without; empty when it can be loaded
};

// Pure.
UringVariants uring_variants(const UringTracepoints& tracepoints);

// From the running kernel's BTF. All 0 where it has none.
UringTracepoints detect_uring_tracepoints();

}  // namespace epulse::probes
