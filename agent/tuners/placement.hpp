#pragma once

#include <span>

#include "agent/model/cpu_topology.hpp"
#include "agent/model/sched.hpp"

// What a thread has to expect of a CPU. Pure arithmetic on shares of time, 0 to 1.
namespace epulse::tuners {

// The share of `cpu` that everything but `thread` used: other programs, the target's other threads,
// softirqs, the hypervisor.
double others_share(const model::CpuSched& cpu, const model::ThreadSched& thread);

// Of that, what is not the target's.
double foreign_share(const model::CpuSched& cpu);

// What it would cost `thread` to live on `cpu`, as a share of time that others have before it: a
// thread that wakes finds the CPU taken with about that probability. A sibling of the core that is
// busy makes it slower; a CPU that shares less with `home`, where it is, leaves its caches or
// memory behind.
double price(const model::CpuSched& cpu, const model::ThreadSched& thread, int home,
             std::span<const model::CpuSched> cpus, const model::CpuTopology& topology);

// The CPU of `mask` that others use least: were it quiet, the scheduler would use it itself.
// Nullptr when none of `mask` is known.
const model::CpuSched* quietest(std::span<const model::CpuSched> cpus, const model::CpuSet& mask,
                                const model::ThreadSched& thread);

}  // namespace epulse::tuners
