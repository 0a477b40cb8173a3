#include "server/session/cpus.hpp"

#include <sched.h>

#include <cerrno>
#include <cstddef>
#include <memory>

#include "server/error.hpp"

namespace epulse::server {
namespace {

constexpr std::size_t kMaxCpus = 1 << 16;

struct FreeCpuSet {
  void operator()(cpu_set_t* set) const { CPU_FREE(set); }
};
using CpuSet = std::unique_ptr<cpu_set_t, FreeCpuSet>;

}  // namespace

std::vector<int> allowed_cpus() {
  // The kernel wants a mask at least as long as its own, whose length it does not tell.
  for (std::size_t count = CPU_SETSIZE; count <= kMaxCpus; count *= 2) {
    const std::size_t bytes = CPU_ALLOC_SIZE(count);
    const CpuSet set(CPU_ALLOC(count));
    if (sched_getaffinity(0, bytes, set.get()) != 0) {
      if (errno == EINVAL) continue;
      break;
    }
    std::vector<int> cpus;
    for (std::size_t cpu = 0; cpu < count; ++cpu) {
      if (CPU_ISSET_S(cpu, bytes, set.get())) cpus.push_back(static_cast<int>(cpu));
    }
    return cpus;
  }
  fail("cannot read the CPUs of this process: {}", errno_text(errno));
}

void pin_to(int cpu) {
  const std::size_t bytes = CPU_ALLOC_SIZE(kMaxCpus);
  const CpuSet set(CPU_ALLOC(kMaxCpus));
  CPU_ZERO_S(bytes, set.get());
  CPU_SET_S(static_cast<std::size_t>(cpu), bytes, set.get());
  if (sched_setaffinity(0, bytes, set.get()) != 0) {
    fail("cannot pin a worker to CPU {}: {}; use --no-pin", cpu, errno_text(errno));
  }
}

}  // namespace epulse::server
