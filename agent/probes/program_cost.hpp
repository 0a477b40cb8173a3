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

uint64_t missed_runs(const bpf_object* object);

}  // namespace epulse::probes
