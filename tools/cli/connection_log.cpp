#include "tools/cli/connection_log.hpp"

#include <time.h>

#include <algorithm>

#include "agent/kernel/connections.hpp"

namespace epulse::cli {
namespace {

constexpr uint64_t kShare = 100;  // of the time, one in so many for looking
constexpr uint64_t kPauseMaxNs = 5'000'000'000;
// A socket that no instance watches, or that is no TCP connection, may be another time.
constexpr int kTriesMax = 5;

uint64_t clock_ns(clockid_t clock) {
  timespec now{};
  clock_gettime(clock, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(now.tv_nsec);
}

using Instances = std::map<uint64_t, int>;  // that somebody waited on, by a descriptor for it

std::map<pid_t, Instances> instances_of(const model::EpollSnapshot& interval) {
  std::map<pid_t, Instances> instances;
  for (const model::WorkerStats& worker : interval.workers) {
    if (worker.key.tgid == 0 || worker.waits() == 0) continue;
    instances[static_cast<pid_t>(worker.key.tgid)][worker.key.epoll_id] = worker.key.epfd;
  }
  return instances;
}

// What is to be looked up in the table of a network namespace.
struct Lookup {
  pid_t pid = 0;  // of one who is there
  std::set<uint64_t> inodes;
};

struct Watched {
  pid_t pid = 0;
  uint64_t name_space = 0;
  uint64_t inode = 0;
  uint64_t epoll_id = 0;
};

}  // namespace

// The sockets that it has not been told of; forgets those that are closed: inodes are used again.
std::set<uint64_t> ConnectionLog::news_of(pid_t pid, Process& process) {
  const std::set<uint64_t> sockets = kernel::socket_inodes(pid);
  const auto is_closed = [&](const auto& entry) { return !sockets.contains(entry.first); };
  std::erase_if(process.given, is_closed);
  std::erase_if(process.unclear, is_closed);
  std::set<uint64_t> news;
  for (const uint64_t inode : sockets) {
    if (process.given.contains(inode)) continue;
    int& tries = process.unclear[inode];
    if (tries == kTriesMax) continue;
    ++tries;
    news.insert(inode);
  }
  return news;
}

std::vector<record::WatchedConnection> ConnectionLog::look(const model::EpollSnapshot& interval,
                                                           bool last) {
  std::vector<record::WatchedConnection> result;
  const uint64_t now_ns = clock_ns(CLOCK_MONOTONIC);
  if (now_ns < next_ns_ && !last) return result;
  const uint64_t used_ns = clock_ns(CLOCK_THREAD_CPUTIME_ID);
  std::vector<Watched> found;
  std::map<uint64_t, Lookup> lookups;  // by network namespace
  for (const auto& [pid, instances] : instances_of(interval)) {
    const std::set<uint64_t> news = news_of(pid, processes_[pid]);
    if (news.empty()) continue;
    const uint64_t name_space = kernel::network_namespace(pid);
    Lookup& lookup = lookups[name_space];
    lookup.pid = pid;
    for (const auto& [epoll_id, epfd] : instances) {
      for (const uint64_t inode : kernel::watched_inodes(pid, epfd)) {
        if (!news.contains(inode)) continue;
        lookup.inodes.insert(inode);
        found.push_back({pid, name_space, inode, epoll_id});
      }
    }
  }
  // Only now: what was accepted meanwhile is in the tables, too.
  std::map<uint64_t, std::map<uint64_t, kernel::TcpEnds>> tables;
  for (const auto& [name_space, lookup] : lookups) {
    if (!lookup.inodes.empty()) {
      tables[name_space] = kernel::tcp_connections(lookup.pid, lookup.inodes);
    }
  }
  for (const Watched& watched : found) {
    const auto& table = tables[watched.name_space];
    const auto ends = table.find(watched.inode);
    if (ends == table.end()) continue;
    Process& process = processes_[watched.pid];
    process.unclear.erase(watched.inode);
    process.given[watched.inode] = {watched.epoll_id, ends->second.local, ends->second.peer};
    result.push_back(process.given[watched.inode]);
  }
  const uint64_t cost_ns = clock_ns(CLOCK_THREAD_CPUTIME_ID) - used_ns;
  next_ns_ = now_ns + std::min(cost_ns * kShare, kPauseMaxNs);
  return result;
}

std::vector<record::WatchedConnection> ConnectionLog::given() const {
  std::vector<record::WatchedConnection> all;
  for (const auto& [pid, process] : processes_) {
    for (const auto& [inode, connection] : process.given) all.push_back(connection);
  }
  return all;
}

}  // namespace epulse::cli
