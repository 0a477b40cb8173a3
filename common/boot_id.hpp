#pragma once

#include <string>

namespace epulse {

// What tells this boot of this machine from all others; monotonic clocks compare within one.
// /proc/sys/kernel/random/boot_id; empty where it cannot be read.
std::string boot_id();

}  // namespace epulse
