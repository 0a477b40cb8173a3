#include "agent/tuners/placement.hpp"

#include <algorithm>

namespace epulse::tuners {
namespace {

using model::CpuDistance;
using model::CpuSched;
using model::CpuSet;

// Two busy hardware threads of a core do some 1.2 to 1.3 times the work of one, so each loses about
// a third and more; waiting for a whole time slice is worse than being slower throughout.
constexpr double kSiblingPrice = 0.3;
// So that of CPUs that are alike the nearest is taken, and memory is left for a clear gain only.
constexpr double kOtherCachePrice = 0.05;
constexpr double kOtherNodePrice = 0.15;

double distance_price(CpuDistance distance) {
  switch (distance) {
    case CpuDistance::kCache:
      return 0;
    case CpuDistance::kNode:
      return kOtherCachePrice;
    case CpuDistance::kFar:
      return kOtherNodePrice;
  }
  return 0;
}

}  // namespace

double others_share(const CpuSched& cpu, const model::ThreadSched& thread) {
  const double own = thread.cpu == cpu.cpu ? std::min(thread.run_share, cpu.target_share) : 0;
  return std::max(0.0, cpu.busy_share - own);
}

double foreign_share(const CpuSched& cpu) {
  return cpu.busy_share - cpu.target_share;
}

double price(const CpuSched& cpu, const model::ThreadSched& thread, int home,
             std::span<const CpuSched> cpus, const model::CpuTopology& topology) {
  const CpuSet siblings = topology.siblings(cpu.cpu);
  double sibling_share = 0;
  for (const CpuSched& other : cpus) {
    if (!siblings.contains(other.cpu)) continue;
    sibling_share = std::max(sibling_share, others_share(other, thread));
  }
  return others_share(cpu, thread) + kSiblingPrice * sibling_share +
         distance_price(topology.distance(home, cpu.cpu));
}

const CpuSched* quietest(std::span<const CpuSched> cpus, const CpuSet& mask,
                         const model::ThreadSched& thread) {
  const CpuSched* best = nullptr;
  for (const CpuSched& cpu : cpus) {
    if (!mask.contains(cpu.cpu)) continue;
    if (best == nullptr || others_share(cpu, thread) < others_share(*best, thread)) best = &cpu;
  }
  return best;
}

}  // namespace epulse::tuners
