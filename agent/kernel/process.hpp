#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "agent/model/cpu_set.hpp"

// Reading /proc. Everything here can vanish between two reads; nullopt says that it did.
namespace epulse::kernel {

inline const std::string kProc = "/proc";

struct ThreadStat {
  std::string name;
  char state = '?';
  pid_t parent = 0;          // of the process, field 4
  uint64_t start_ticks = 0;  // since boot, field 22: with the tid, a thread's identity
  int cpu = 0;               // last run on, field 39
  bool real_time = false;    // its policy, field 41, is FIFO, RR or DEADLINE
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

std::vector<pid_t> all_pids(const std::string& proc = kProc);
std::vector<pid_t> thread_ids(pid_t pid);  // empty when the process is gone
// Empty when gone.
std::string process_name(pid_t pid, const std::string& proc = kProc);
// The process of a thread, or of itself; nullopt when there is neither.
std::optional<pid_t> process_of(pid_t tid, const std::string& proc = kProc);
// Nullopt when gone.
std::optional<pid_t> parent_of(pid_t pid, const std::string& proc = kProc);
// False, too, for a process that is gone or may not be looked at.
bool has_epoll(pid_t pid, const std::string& proc = kProc);
// Of its main thread.
std::vector<pid_t> children_of(pid_t pid, const std::string& proc = kProc);
bool thread_exists(pid_t pid, pid_t tid);
// Nothing is open there any more for the thread, or another file. False where nobody can tell.
bool epoll_is_closed(pid_t pid, pid_t tid, int epfd);

struct EpollDescriptor {
  int fd = -1;
  int watched = 0;  // descriptors registered, "tfd:" lines of fdinfo
};
// Throws Error when the descriptors may not be read, or the process does not exist.
std::vector<EpollDescriptor> epoll_descriptors(pid_t pid, const std::string& proc = kProc);

// The number of descriptors registered with /proc/PID/fd/FD, nullopt when it is no epoll or gone.
std::optional<int> watched_descriptors(pid_t pid, int fd, const std::string& proc = kProc);

// Fails with a clear Error unless `pid` names a process (or a thread of one) that exists and has an
// epoll instance; returns the process's id, since a thread's id is accepted too.
pid_t require_epoll_process(pid_t pid, const std::string& proc = kProc);

// The same, content with an io_uring too.
pid_t require_event_loop(pid_t pid, const std::string& proc = kProc);

// The process has an io_uring open. False when its descriptors may not be read.
bool has_ring(pid_t pid, const std::string& proc = kProc);

// Whether the pids that we see are the kernel's own.
bool in_host_pid_namespace();

}  // namespace epulse::kernel
