#pragma once

#include <sys/types.h>

#include <optional>

#include "agent/kernel/process.hpp"
#include "agent/model/host_facts.hpp"

namespace epulse::kernel {

// Whether the process's network namespace is another than ours.
bool has_own_network(pid_t pid);

// Those of our own network namespace: /proc/sys/net has no others.
model::HostSettings host_settings(const std::string& proc = kProc);

// Of the process's network namespace, /proc/PID/net/netstat.
std::optional<model::ListenCounters> listen_counters(pid_t pid, const std::string& proc = kProc);

}  // namespace epulse::kernel
