#pragma once

#include <sys/types.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "agent/config/config.hpp"
#include "agent/kernel/sched_sampler.hpp"
#include "agent/kernel/stats_page.hpp"
#include "agent/model/epoll_stats.hpp"
#include "agent/model/sched.hpp"
#include "agent/probes/epoll_probe.hpp"

namespace epulse::daemon {

struct TargetSample {
  model::SchedInterval sched;                 // workers marked, with their wake-up p99 where known
  std::optional<model::EpollSnapshot> epoll;  // absent without BPF
  std::vector<epoll_wait_record> exceptions;  // deep and late waits of the interval
};

// Everything that is measured of one process, from whatever backend this host allows.
class TargetSampler {
 public:
  // Falls back to /proc when BPF is refused; why_no_bpf() then says why.
  TargetSampler(pid_t pid, const config::Probes& options, bool allow_bpf);

  TargetSample sample();

  pid_t pid() const { return pid_; }
  bool is_bundled_server() const { return page_ != nullptr; }
  const std::string& why_no_bpf() const { return why_no_bpf_; }
  // Readable when exceptions wait; -1 without BPF.
  int descriptor() const { return probe_ ? probe_->descriptor() : -1; }
  void consume() {
    if (probe_) probe_->consume();
  }

 private:
  void mark_workers(TargetSample& sample) const;

  pid_t pid_;
  kernel::SchedSampler sched_;
  std::unique_ptr<kernel::StatsPage> page_;
  std::unique_ptr<probes::EpollProbe> probe_;
  std::optional<model::EpollIntervals> intervals_;
  std::vector<epoll_wait_record> exceptions_;
  std::string why_no_bpf_;
};

}  // namespace epulse::daemon
