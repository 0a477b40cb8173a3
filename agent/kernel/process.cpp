#include "agent/kernel/process.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <filesystem>
#include <fstream>
#include <memory>
#include <sstream>
#include <system_error>

#include "agent/error.hpp"

namespace epulse::kernel {
namespace {

constexpr int kDeadline = 6;  // SCHED_DEADLINE, linux/sched.h

std::optional<std::string> read_file(const std::string& path) {
  std::ifstream file(path);
  if (!file) return std::nullopt;
  std::ostringstream text;
  text << file.rdbuf();
  // A thread that exits between open and read gives ESRCH, which streams show as an empty file.
  if (text.str().empty()) return std::nullopt;
  return text.str();
}

struct CloseDirectory {
  void operator()(DIR* directory) const { closedir(directory); }
};

// The numeric names in a directory of /proc, ascending; false when it cannot be opened (errno).
bool numeric_entries(const std::string& path, std::vector<int>& numbers) {
  const std::unique_ptr<DIR, CloseDirectory> directory(opendir(path.c_str()));
  if (!directory) return false;
  while (const dirent* entry = readdir(directory.get())) {
    const std::string_view name = entry->d_name;
    int number = 0;
    const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), number);
    if (error == std::errc{} && end == name.data() + name.size()) numbers.push_back(number);
  }
  std::sort(numbers.begin(), numbers.end());
  return true;
}

bool names_epoll(const std::string& link) {
  char target[64];
  const ssize_t length = readlink(link.c_str(), target, sizeof(target));
  return length > 0 &&
         std::string_view(target, static_cast<size_t>(length)) == "anon_inode:[eventpoll]";
}

bool is_epoll(pid_t pid, int fd, const std::string& proc) {
  return names_epoll(fmt::format("{}/{}/fd/{}", proc, pid, fd));
}

// A master like nginx's leaves the events to its children: "24951 24952".
std::string children_with_epoll(pid_t pid, const std::string& proc) {
  std::string found;
  for (const pid_t child : children_of(pid, proc)) {
    if (has_epoll(child, proc)) {
      found += fmt::format("{}{}", found.empty() ? "" : " ", child);
    }
  }
  return found;
}

}  // namespace

std::optional<ThreadStat> parse_thread_stat(const std::string& text) {
  const size_t open = text.find('(');
  const size_t close = text.rfind(')');
  if (open == std::string::npos || close == std::string::npos || close < open) return std::nullopt;
  ThreadStat stat;
  stat.name = text.substr(open + 1, close - open - 1);
  std::istringstream fields(text.substr(close + 1));
  fields >> stat.state;
  std::string skipped;
  fields >> stat.parent;
  for (int field = 5; field <= 21; ++field) fields >> skipped;
  fields >> stat.start_ticks;
  for (int field = 23; field <= 38; ++field) fields >> skipped;
  fields >> stat.cpu;
  if (!fields) return std::nullopt;
  int policy = 0;
  if (fields >> skipped >> policy) {
    stat.real_time = policy == SCHED_FIFO || policy == SCHED_RR || policy == kDeadline;
  }
  return stat;
}

std::optional<ThreadStat> thread_stat(pid_t pid, pid_t tid) {
  const auto text = read_file(fmt::format("/proc/{}/task/{}/stat", pid, tid));
  if (!text) return std::nullopt;
  return parse_thread_stat(*text);
}

std::optional<SchedStat> thread_schedstat(pid_t pid, pid_t tid) {
  const auto text = read_file(fmt::format("/proc/{}/task/{}/schedstat", pid, tid));
  if (!text) return std::nullopt;
  std::istringstream fields(*text);
  SchedStat stat;
  fields >> stat.run_ns >> stat.delay_ns >> stat.timeslices;
  if (!fields) return std::nullopt;
  return stat;
}

std::optional<model::CpuSet> thread_affinity(pid_t tid) {
  cpu_set_t native;
  if (sched_getaffinity(tid, sizeof(native), &native) != 0) return std::nullopt;
  return model::CpuSet::from_native(native);
}

std::vector<pid_t> all_pids(const std::string& proc) {
  std::vector<pid_t> pids;
  numeric_entries(proc, pids);
  return pids;
}

std::vector<pid_t> thread_ids(pid_t pid) {
  std::vector<pid_t> tids;
  numeric_entries(fmt::format("/proc/{}/task", pid), tids);
  return tids;
}

std::string process_name(pid_t pid, const std::string& proc) {
  std::ifstream file(fmt::format("{}/{}/comm", proc, pid));
  std::string name;
  std::getline(file, name);
  return name;
}

std::optional<pid_t> process_of(pid_t tid, const std::string& proc) {
  std::ifstream status(fmt::format("{}/{}/status", proc, tid));
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with("Tgid:")) return std::stoi(line.substr(5));
  }
  return std::nullopt;
}

std::optional<pid_t> parent_of(pid_t pid, const std::string& proc) {
  const auto text = read_file(fmt::format("{}/{}/stat", proc, pid));
  if (!text) return std::nullopt;
  const auto stat = parse_thread_stat(*text);
  if (!stat) return std::nullopt;
  return stat->parent;
}

bool has_epoll(pid_t pid, const std::string& proc) {
  std::vector<int> fds;
  numeric_entries(fmt::format("{}/{}/fd", proc, pid), fds);
  return std::any_of(fds.begin(), fds.end(), [&](int fd) { return is_epoll(pid, fd, proc); });
}

std::vector<pid_t> children_of(pid_t pid, const std::string& proc) {
  std::ifstream file(fmt::format("{}/{}/task/{}/children", proc, pid, pid));
  std::vector<pid_t> children;
  for (pid_t child = 0; file >> child;) children.push_back(child);
  return children;
}

bool thread_exists(pid_t pid, pid_t tid) {
  return access(fmt::format("/proc/{}/task/{}", pid, tid).c_str(), F_OK) == 0;
}

bool epoll_is_closed(pid_t pid, pid_t tid, int epfd) {
  const std::string link = fmt::format("/proc/{}/task/{}/fd/{}", pid, tid, epfd);
  errno = 0;
  return !names_epoll(link) && (errno == 0 || errno == ENOENT);
}

std::optional<int> watched_descriptors(pid_t pid, int fd, const std::string& proc) {
  if (!is_epoll(pid, fd, proc)) return std::nullopt;
  std::ifstream info(fmt::format("{}/{}/fdinfo/{}", proc, pid, fd));
  int watched = 0;
  for (std::string line; std::getline(info, line);) watched += line.starts_with("tfd:") ? 1 : 0;
  return watched;
}

std::vector<EpollDescriptor> epoll_descriptors(pid_t pid, const std::string& proc) {
  std::vector<int> fds;
  if (!numeric_entries(fmt::format("{}/{}/fd", proc, pid), fds)) {
    const int error = errno;
    if (error == ENOENT) fail("process {} does not exist", pid);
    fail("cannot read the descriptors of process {} ({}): {}; run as root or as its owner", pid,
         process_name(pid, proc), errno_text(error));
  }
  std::vector<EpollDescriptor> epolls;
  for (const int fd : fds) {
    if (const auto watched = watched_descriptors(pid, fd, proc)) epolls.push_back({fd, *watched});
  }
  return epolls;
}

bool has_ring(pid_t pid, const std::string& proc) {
  std::vector<int> fds;
  if (!numeric_entries(fmt::format("{}/{}/fd", proc, pid), fds)) return false;
  return std::any_of(fds.begin(), fds.end(), [&](int fd) {
    std::error_code gone;
    return std::filesystem::read_symlink(fmt::format("{}/{}/fd/{}", proc, pid, fd), gone) ==
           "anon_inode:[io_uring]";
  });
}

pid_t require_epoll_process(pid_t pid, const std::string& proc) {
  const std::optional<pid_t> tgid = process_of(pid, proc);
  if (!tgid) fail("process {} does not exist; `epulse list` shows the candidates", pid);
  if (!epoll_descriptors(*tgid, proc).empty()) return *tgid;
  const std::string children = children_with_epoll(*tgid, proc);
  fail("process {} ({}) has no epoll instance; {}", *tgid, process_name(*tgid, proc),
       children.empty() ? "`epulse list` shows the processes that have one"
                        : "its children have: " + children);
}

pid_t require_event_loop(pid_t pid, const std::string& proc) {
  const pid_t tgid = process_of(pid, proc).value_or(pid);
  return has_ring(tgid, proc) ? tgid : require_epoll_process(pid, proc);
}

bool in_host_pid_namespace() {
  // PROC_PID_INIT_INO, include/linux/proc_ns.h: the inode of the first pid namespace.
  constexpr ino_t kInitialPidNamespace = 0xEFFFFFFC;
  struct stat ours {};
  return stat("/proc/self/ns/pid", &ours) != 0 || ours.st_ino == kInitialPidNamespace;
}

}  // namespace epulse::kernel
