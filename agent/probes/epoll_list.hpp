#pragma once

#include <sys/types.h>

#include <memory>
#include <vector>

#include "agent/kernel/facts.hpp"
#include "bpf/epoll_list.h"

namespace epulse::probes {

// Lists every epoll descriptor of the host, or of one process, by the kernel's task_file iterator;
// nothing runs between two reads. Throws LoadError where BPF is refused.
class EpollLister {
 public:
  // `only`: a process, as we see it; 0: all. Before Linux 6.1 all are listed, and walked through.
  explicit EpollLister(const kernel::Facts& facts, pid_t only = 0);
  ~EpollLister();
  EpollLister(const EpollLister&) = delete;
  EpollLister& operator=(const EpollLister&) = delete;

  // One pass. Descriptors that share an instance appear once each. Throws Error when it is cut
  // short.
  std::vector<epoll_list_record> read() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace epulse::probes
