#pragma once

#include <cstdint>
#include <map>
#include <string>

namespace epulse::kernel {

// The ids of the tracepoints of the epoll system calls (events/syscalls/sys_*_epoll_*/id of
// tracefs), for perf_event_open(2). Empty when tracefs cannot be read. Needs no mounted tracefs:
// one of our own is opened and closed again, without a place in the file system (fsmount(2)).
std::map<std::string, uint64_t, std::less<>> epoll_syscall_tracepoints();

}  // namespace epulse::kernel
