#pragma once

#include <sys/types.h>

#include <cstddef>
#include <string>
#include <vector>

#include "agent/kernel/process.hpp"

namespace epulse::kernel {

// The most TCP sockets of a process that listen on one address and port: more than one share it by
// SO_REUSEPORT. 0 when it has none, or may not be looked at. Reads every descriptor of the process,
// and every TCP socket of its network namespace: not for each interval.
size_t listeners_of_one_port(pid_t pid, const std::string& proc = kProc);

// The paths of the Unix stream sockets on which a process listens, as it has them; abstract ones
// and those that were never bound to a path are left out. As costly as the above.
std::vector<std::string> unix_listeners(pid_t pid, const std::string& proc = kProc);

}  // namespace epulse::kernel
