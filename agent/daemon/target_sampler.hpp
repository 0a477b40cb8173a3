#pragma once

#include <sys/types.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "agent/config/config.hpp"
#include "agent/kernel/sched_sampler.hpp"
#include "agent/kernel/stats_page.hpp"
#include "agent/model/blame.hpp"
#include "agent/model/epoll_stats.hpp"
#include "agent/model/sched.hpp"
#include "agent/model/stall_watch.hpp"
#include "agent/probes/attach.hpp"
#include "agent/probes/overhead_control.hpp"

namespace epulse::daemon {

struct TargetSample {
  model::SchedInterval sched;                 // workers marked, with their wake-up p99 where known
  std::optional<model::EpollSnapshot> epoll;  // absent without BPF
  std::vector<epoll_wait_record> exceptions;  // deep and late waits of the interval
  std::vector<model::Blame> blames;           // of the interval
  std::vector<model::LoopStall> stalls;       // of each epoll instance; none without BPF
  std::vector<epulse_stats_worker> pages;     // the bundled server's counters, since its start
};

// Everything that is measured of one process, from whatever backend this host allows.
class TargetSampler {
 public:
  // `backend` as for probes::attach(). Falls back to /proc when BPF is refused; plan() says why.
  TargetSampler(pid_t pid, const config::Probes& options, const std::string& backend);

  TargetSample sample();

  pid_t pid() const { return pid_; }
  bool is_bundled_server() const { return page_ != nullptr; }
  const probes::Plan& plan() const { return attached_.plan; }
  bool has_bpf() const { return attached_.probe != nullptr; }
  // Readable when exceptions wait; -1 without BPF.
  int descriptor() const { return attached_.probe ? attached_.probe->descriptor() : -1; }
  void consume() {
    if (attached_.probe) attached_.probe->consume();
  }

  // What the probes cost; absent without BPF.
  const model::Overhead* overhead() const { return control_ ? &control_->overhead() : nullptr; }

 private:
  void drop_closed(model::EpollSnapshot& interval) const;
  void mark_workers(TargetSample& sample) const;
  void look_for_stalls(TargetSample& sample);

  pid_t pid_;
  kernel::SchedSampler sched_;
  std::unique_ptr<kernel::StatsPage> page_;
  std::vector<epoll_wait_record> exceptions_;
  probes::Attached attached_;
  std::optional<model::EpollIntervals> intervals_;
  model::BlameIntervals blames_;
  model::StallWatch stalls_;
  std::optional<probes::OverheadControl> control_;
};

}  // namespace epulse::daemon
