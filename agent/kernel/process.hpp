#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "agent/model/cpu_set.hpp"

// Reading /proc. Everything here can vanish between two reads; nullopt says that it did.
namespace epulse::kernel {

struct ThreadStat {
  std::string name;
  char state = '?';
  uint64_t start_ticks = 0;  // since boot, field 22: with the tid, a thread's identity
  int cpu = 0;               // last run on, field 39
};

struct SchedStat {
  uint64_t run_ns = 0;    // on a CPU
  uint64_t delay_ns = 0;  // runnable, waiting for one
  uint64_t timeslices = 0;
};

std::optional<ThreadStat> thread_stat(pid_t pid, pid_t tid);
std::optional<SchedStat> thread_schedstat(pid_t pid, pid_t tid);
std::optional<model::CpuSet> thread_affinity(pid_t tid);

// Parses the text of /proc/PID/stat; nullopt when malformed. The name may hold spaces and brackets.
std::optional<ThreadStat> parse_thread_stat(const std::string& text);

std::vector<pid_t> all_pids();
std::vector<pid_t> thread_ids(pid_t pid);   // empty when the process is gone
std::string process_name(pid_t pid);        // empty when gone
std::vector<pid_t> children_of(pid_t pid);  // of its main thread
bool thread_exists(pid_t pid, pid_t tid);

struct EpollDescriptor {
  int fd = -1;
  int watched = 0;  // descriptors registered, "tfd:" lines of fdinfo
};
// Throws Error when the descriptors may not be read, or the process does not exist.
std::vector<EpollDescriptor> epoll_descriptors(pid_t pid);

// The number of descriptors registered with /proc/PID/fd/FD, nullopt when it is no epoll or gone.
std::optional<int> watched_descriptors(pid_t pid, int fd);

// Fails with a clear Error unless `pid` names a process (or a thread of one) that exists and has an
// epoll instance; returns the process's id, since a thread's id is accepted too.
pid_t require_epoll_process(pid_t pid);

// The same, content with an io_uring too.
pid_t require_event_loop(pid_t pid);

// The process has an io_uring open. False when its descriptors may not be read.
bool has_ring(pid_t pid);

}  // namespace epulse::kernel
