#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "agent/export/record_format.hpp"
#include "agent/model/epoll_stats.hpp"
#include "agent/probes/epoll_probe.hpp"
#include "agent/targets/selector.hpp"

namespace epulse::cli {

// The processes that a command watches, as they come and go.
class Target {
 public:
  // Throws Error when the selector names nothing that can be measured.
  explicit Target(const targets::Selector& selector);
  // A process that we are about to start, whatever it is going to have.
  static Target command(pid_t pid, bool children);

  const std::vector<pid_t>& pids() const { return pids_; }
  // One process from beginning to end.
  bool single() const { return pids_.size() == 1 && !follow_children_; }
  bool follow_children() const { return follow_children_; }
  std::string title() const;  // "nginx[4711], nginx[4712]"

  // Tells the probe who is there now: once after attach, for those that came meanwhile.
  void add_members(probes::EpollProbe& probe) const;
  // The same for a group that others may join. False when all have ended and nobody can come.
  bool refresh(probes::EpollProbe& probe) const;

  // Leaves out the threads that were not asked for.
  void limit(model::EpollSnapshot& interval) const;
  void limit(std::vector<model::Blame>& blames) const;
  bool wants(const epoll_wait_record& wait) const;

 private:
  Target(targets::Selector selector, std::vector<pid_t> pids);

  targets::Selector selector_;
  std::vector<pid_t> pids_;  // at first
  bool follow_children_;
  uint32_t tid_ = 0;  // 0: all threads
};

// Looks up the names of workers and processes seen for the first time; who is gone keeps the name
// it had.
void add_names(const model::EpollSnapshot& interval, record::ThreadNames& names);

}  // namespace epulse::cli
