#pragma once

#include <vector>

namespace epulse::server {

// The CPUs that this process may run on (its cpuset and mask), ascending. Throws Error.
std::vector<int> allowed_cpus();

// Binds the calling thread to one CPU. Throws Error.
void pin_to(int cpu);

}  // namespace epulse::server
