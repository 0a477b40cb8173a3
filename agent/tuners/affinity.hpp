#pragma once

#include <sys/types.h>

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "agent/model/cpu_set.hpp"
#include "agent/model/cpu_topology.hpp"
#include "agent/model/histogram.hpp"
#include "agent/model/sched.hpp"
#include "agent/tuners/proposal.hpp"

namespace epulse::tuners {

// What the price of another CPU is lower by than that of the present one, less kMargin, is summed
// up over the intervals (a CUSUM), and must reach kGainMin: a clear gain takes two intervals, a
// small one more, and what only fluctuates never gets there.
inline constexpr double kMargin = 0.2;
inline constexpr double kGainMin = 1.0;
// Run-queue delays are many short ones and a few of whole time slices. Beside three busy loops a
// worker's mean was 0.3 to 0.5 ms where its p99 was 7 ms; a fifth is the cautious side of that.
inline constexpr uint64_t kMeanToP99 = 5;
// A quota holds a thread up wherever it runs.
inline constexpr double kThrottledMax = 0.05;

struct AffinityLimits {
  uint64_t wakeup_ns_p99 = 1'000'000;
  double delay_share_min = 0.05;
  double foreign_busy_min = 0.3;  // of its CPU, by all others: programs, and its own process
  uint64_t cooldown_ns = 5'000'000'000;
  uint64_t verify_ns = 3'000'000'000;
  double improvement_min = 0.2;
};

struct AffinityProposal : Proposal {
  pid_t tid = 0;
  uint64_t start_ticks = 0;
  std::string name;
  model::CpuSet from;
  model::CpuSet to;
};

struct AffinityVerdict {
  enum class Kind {
    kKeep,
    kRevert,  // undo it: the goal metric did not fall
    kLost,    // the thread ended or somebody else set its mask: an undo settles the journal
  };
  Kind kind = Kind::kKeep;
  pid_t tid = 0;
  uint64_t start_ticks = 0;
  std::string evidence;
};

// What stands between a worker that waits too long and a proposal.
struct AffinityBalance {
  const model::CpuSched* present = nullptr;  // of its CPUs, the one that others use least
  double others_share = 0;                   // of that
  double present_price = 0;
  // Of the other CPUs that it could have, the one that comes nearest to being proposed.
  const model::CpuSched* best = nullptr;
  double best_price = 0;
  bool has_room = false;
  double gain = 0;           // summed up over the intervals; kGainMin is needed
  uint64_t cooldown_ns = 0;  // what is left of it
};

// Moves a worker thread off a CPU that others keep busy (other programs, or more workers of the
// same server), when its mask keeps the scheduler from doing so: to the CPU of the lowest price().
// One change at a time: nothing is proposed while one is being verified.
class AffinityTuner {
 public:
  using Decision = std::variant<std::monostate, AffinityProposal, AffinityVerdict>;

  explicit AffinityTuner(const AffinityLimits& limits, model::CpuTopology topology = {})
      : limits_(limits), topology_(std::move(topology)) {}

  // Once per interval. `usable` is what the process may run on (its cpuset); `now_ns` is monotonic,
  // at the end of the interval. A proposal not followed by applied() is repeated ever more rarely.
  Decision step(const model::SchedInterval& interval, const model::CpuSet& usable, uint64_t now_ns);

  // Targets proposed for that wait still, by the last intervals.
  std::vector<std::string> standing() const;

  // By the last interval, for the reader: whether a worker's delay is over the limit, and what
  // keeps it from being moved nevertheless. Pointers are valid until the next step().
  bool waits_too_long(const model::ThreadSched& thread) const;
  AffinityBalance balance(const model::ThreadSched& thread, const model::CpuSet& usable,
                          uint64_t now_ns) const;

  // The last proposal is in force since `now_ns`: watch it, and give a verdict.
  void applied(uint64_t now_ns);

 private:
  using ThreadId = std::pair<pid_t, uint64_t>;

  // Two views of the same delay: p99 is the better one, but absent without BPF.
  struct Delay {
    std::optional<double> wakeup_ns_p99;
    std::optional<model::Histogram> wakeup_ns;
    double delay_ns_mean = 0;  // per time slice
    uint64_t timeslices = 0;
  };

  struct Memory {
    std::vector<Delay> contended;  // of the consecutive intervals up to now
    std::map<int, double> gains;   // over these intervals, by CPU it could have
    uint64_t not_before_ns = 0;
    uint64_t cooldown_ns = 0;
    uint64_t last_proposal_ns = 0;
    std::string proposed;  // for this target; empty: not yet
  };

  struct Watch {
    AffinityProposal proposal;
    std::vector<Delay> before;
    std::vector<Delay> after;
    uint64_t since_ns = 0;
  };

  void remember(const model::SchedInterval& interval, const model::CpuSet& usable, uint64_t now_ns);
  void remember(Memory& memory, const model::ThreadSched& thread,
                const model::SchedInterval& interval, const model::CpuSet& usable) const;
  void add_gains(std::map<int, double>& gains, const model::ThreadSched& thread,
                 const model::CpuSet& usable) const;
  bool contended(const model::ThreadSched& thread, const model::CpuSet& usable) const;
  Decision propose(const model::SchedInterval& interval, const model::CpuSet& usable,
                   uint64_t now_ns);
  std::optional<AffinityProposal> proposal_for(const model::ThreadSched& thread,
                                               const std::map<int, double>& gains,
                                               const model::SchedInterval& interval,
                                               const model::CpuSet& usable) const;
  const model::CpuSched* destination(const model::ThreadSched& thread,
                                     const std::map<int, double>& gains,
                                     const model::CpuSched& present) const;
  void explain(AffinityProposal& proposal, const model::ThreadSched& thread,
               const model::SchedInterval& interval, const model::CpuSched& present,
               const model::CpuSched& to) const;
  Decision verify(const model::SchedInterval& interval, const model::CpuSet& usable,
                  uint64_t now_ns);
  Decision judge(uint64_t now_ns);
  Decision judge_medians(uint64_t now_ns);
  bool is_patient(uint64_t now_ns) const;
  Decision conclude(AffinityVerdict::Kind kind, std::string evidence, uint64_t now_ns);
  void back_off(Memory& memory, uint64_t now_ns) const;

  static Delay delay_of(const model::ThreadSched& thread, double seconds);

  AffinityLimits limits_;
  model::CpuTopology topology_;
  std::vector<model::CpuSched> cpus_;  // of this interval, where the figures are sane
  std::map<ThreadId, Memory> memory_;
  std::optional<Watch> proposed_;
  std::optional<Watch> watch_;
  uint64_t not_before_ns_ = 0;
};

}  // namespace epulse::tuners
