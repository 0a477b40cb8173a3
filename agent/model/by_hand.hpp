#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>

#include "agent/model/cpu_set.hpp"
#include "agent/model/socket_sample.hpp"

// Changes as a person would make them.
namespace epulse::model {

// "taskset -pc 1 4711"
std::string affinity_by_hand(pid_t tid, const CpuSet& mask);

// No command reaches another process's socket: says which system call does. `bytes` as reported.
std::string socket_buffer_by_hand(pid_t pid, int fd, BufferSide side, uint64_t bytes);

// A setting of epulse-ws over its control socket: "printf 'set epoll-batch 256\\n' | socat -
// UNIX-CONNECT:PATH"; the option to start it with where `socket` is "".
std::string setting_by_hand(const std::string& socket, const std::string& name, uint64_t value);

}  // namespace epulse::model
