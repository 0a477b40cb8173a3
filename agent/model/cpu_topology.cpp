#include "agent/model/cpu_topology.hpp"

namespace epulse::model {

CpuDistance CpuTopology::distance(int a, int b) const {
  const auto at_a = cpus.find(a);
  const auto at_b = cpus.find(b);
  if (at_a == cpus.end() || at_b == cpus.end() || at_a->second.cache.contains(b)) {
    return CpuDistance::kCache;
  }
  return at_a->second.node == at_b->second.node ? CpuDistance::kNode : CpuDistance::kFar;
}

CpuSet CpuTopology::siblings(int cpu) const {
  const auto at = cpus.find(cpu);
  if (at == cpus.end()) return {};
  CpuSet others = at->second.siblings;
  others.remove(cpu);
  return others;
}

}  // namespace epulse::model
