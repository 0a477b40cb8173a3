#pragma once

#include <map>

#include "agent/model/cpu_set.hpp"

namespace epulse::model {

enum class CpuDistance {
  kCache,  // they share a last-level cache
  kNode,   // the memory is as near as before
  kFar,    // another NUMA node: what a thread has in memory stays behind
};

// Which CPUs share a core, a last-level cache, a NUMA node. An empty one says that all CPUs are
// alike.
struct CpuTopology {
  struct Cpu {
    CpuSet siblings;  // hardware threads of its core, itself included
    CpuSet cache;     // that share its last-level cache
    int node = 0;
  };
  std::map<int, Cpu> cpus;

  CpuDistance distance(int a, int b) const;
  // The other hardware threads of the core.
  CpuSet siblings(int cpu) const;
};

}  // namespace epulse::model
