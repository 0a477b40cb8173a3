#include "tools/cli/connection_log.hpp"

#include <chrono>
#include <map>
#include <tuple>

#include "agent/kernel/connections.hpp"

namespace epulse::cli {
namespace {

constexpr uint64_t kShare = 100;  // of the time, one in so many for looking

uint64_t now_ns() {
  return static_cast<uint64_t>(std::chrono::steady_clock::now().time_since_epoch().count());
}

// The instances that somebody waited on, each by a descriptor that reaches it.
std::map<uint64_t, std::pair<pid_t, int>> instances_of(const model::EpollSnapshot& interval) {
  std::map<uint64_t, std::pair<pid_t, int>> instances;
  for (const model::WorkerStats& worker : interval.workers) {
    if (worker.key.tgid == 0 || worker.waits() == 0) continue;
    instances[worker.key.epoll_id] = {static_cast<pid_t>(worker.key.tgid), worker.key.epfd};
  }
  return instances;
}

}  // namespace

std::vector<record::WatchedConnection> ConnectionLog::look(const model::EpollSnapshot& interval) {
  const uint64_t begin_ns = now_ns();
  std::vector<record::WatchedConnection> found;
  if (begin_ns < next_ns_) return found;
  std::set<std::pair<uint64_t, uint64_t>> seen;
  std::map<pid_t, std::map<uint64_t, kernel::TcpEnds>> tables;  // read where something is new
  for (const auto& [epoll_id, descriptor] : instances_of(interval)) {
    const auto& [pid, epfd] = descriptor;
    for (const uint64_t inode : kernel::watched_inodes(pid, epfd)) {
      const std::pair key(epoll_id, inode);
      seen.insert(key);
      if (given_.contains(key)) continue;
      if (!tables.contains(pid)) tables[pid] = kernel::tcp_connections(pid);
      const auto ends = tables[pid].find(inode);
      if (ends == tables[pid].end()) continue;  // no TCP connection
      found.push_back({epoll_id, ends->second.local, ends->second.peer});
    }
  }
  given_ = std::move(seen);  // those that closed are forgotten: inodes are used again
  const uint64_t end_ns = now_ns();
  next_ns_ = end_ns + (end_ns - begin_ns) * kShare;
  return found;
}

}  // namespace epulse::cli
