#pragma once

#include <bpf/libbpf.h>

#include <cstdint>
#include <string>
#include <vector>

namespace epulse::probes {

// What the kernel tells of one loaded BPF program.
struct ProgramCost {
  std::string name;
  uint64_t runs = 0;  // this and the time: while the kernel times programs
  uint64_t run_ns = 0;
  // Events that it was not run for: the kernel does not run a program that has been interrupted, or
  // preempted, on the same CPU. Since Linux 5.12; 0 before.
  uint64_t missed = 0;
};

// Of all that are loaded.
std::vector<ProgramCost> program_costs(const bpf_object* object);

// Events that may be lost: NAME_again is told what NAME is told (bpf/uring/syscalls.h), and an
// event is lost where both miss it; at most as many as either has missed. Pure.
uint64_t missed_runs(const std::vector<ProgramCost>& costs);

inline uint64_t missed_runs(const bpf_object* object) {
  return missed_runs(program_costs(object));
}

}  // namespace epulse::probes
