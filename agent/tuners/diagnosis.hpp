#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "agent/model/blame.hpp"
#include "agent/model/cpu_topology.hpp"
#include "agent/model/epoll_stats.hpp"
#include "agent/model/interference.hpp"
#include "agent/model/sched.hpp"
#include "agent/tuners/persistence.hpp"
#include "agent/tuners/proposal.hpp"

// Why the workers of a server do not get the same share of the work, or of the CPUs. Pure.
namespace epulse::tuners {

// What was seen of one process in one interval; what is not known stays empty, and so does what
// would follow from it.
struct Observed {
  struct Worker {
    pid_t tid = 0;
    uint64_t connections = 0;  // open now
  };

  std::string process;   // "nginx[4711]"
  bool bundled = false;  // it is epulse-ws
  model::SchedInterval sched;
  std::optional<model::EpollSnapshot> epoll;
  model::Interference interference;
  std::vector<model::Blame> blames;  // of the interval
  std::set<pid_t> real_time;         // of the culprits, those of a real-time class
  std::vector<Worker> workers;       // where the server tells how many connections each has
  size_t listeners_of_one_port = 0;  // SO_REUSEPORT sockets of the process on its busiest port
  std::string cgroup;                // path, for the remedy; empty: unknown
};

// Each cause that the figures bear out, with what to do about it: advice, never acted upon.
//   diagnosis.lifo-wakeups       threads wait on one epoll instance: the last to wait is woken
//   first diagnosis.reuseport-skew     the hash of SO_REUSEPORT gave some workers more than others
//   diagnosis.herd               threads are woken for events that others take
//   diagnosis.irq-apart          packets are handled on a CPU whose caches the workers do not share
//   diagnosis.irq-saturated      one CPU does all packets, and has no more to give
//   diagnosis.throttled          the control group's CPU quota is used up
//   diagnosis.pre-empted         a thread that has a name runs where the workers want to
//   diagnosis.stolen             the hypervisor gives the workers' CPUs to others
//   diagnosis.slow-idle          idle CPUs take long to wake
std::vector<Proposal> diagnose(const Observed& observed, const model::CpuTopology& topology);

// Once per interval: what has held for three of them.
class Diagnosis {
 public:
  explicit Diagnosis(model::CpuTopology topology = {}) : topology_(std::move(topology)) {}

  Findings step(const Observed& observed, uint64_t now_ns);

 private:
  model::CpuTopology topology_;
  Persistence persistence_;
};

}  // namespace epulse::tuners
