#pragma once

#include <sys/capability.h>

#include <string>
#include <vector>

#include "agent/config/config.hpp"

namespace epulse::daemon {

// What a running daemon still needs, once the probes are attached. Pure.
//   CAP_SYS_PTRACE, CAP_DAC_READ_SEARCH  to look into /proc/PID of other users' processes
//   CAP_SYS_NICE    to set the CPU mask of their threads (apply)
//   CAP_NET_ADMIN   for socket buffers beyond net.core.{r,w}mem_max (apply, with that tuner)
//   CAP_DAC_OVERRIDE  to talk to the control socket of another user's epulse-ws (apply)
//   CAP_BPF         to read maps before Linux 5.19 (with BPF)
//   CAP_SYS_ADMIN   to have the kernel time BPF programs (with BPF and probes.overhead_budget)
std::vector<cap_value_t> capabilities_needed(const config::Config& config, config::Mode mode,
                                             bool has_bpf, bool is_bundled_server);

// Gives up all others for good: of this thread, of those that it starts, of programs that they run.
// Those that we do not have are no error. Throws Error.
void keep_capabilities(const std::vector<cap_value_t>& needed);

// "cap_sys_ptrace cap_sys_nice", as they are now; "none".
std::string capabilities_text();

}  // namespace epulse::daemon
