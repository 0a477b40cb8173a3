#pragma once

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "agent/kernel/facts.hpp"
#include "agent/model/blame.hpp"
#include "agent/model/epoll_stats.hpp"
#include "agent/probes/plan.hpp"
#include "agent/probes/program_cost.hpp"
#include "bpf/epoll_list.h"

namespace epulse::probes {

struct EpollProbeOptions {
  std::vector<pid_t> tgids = {};     // as we see them
  bool follow_children = false;      // of these too, and add_targets() may name others
  uint32_t exception_depth = 0;      // items; 0: no records for deep queues
  uint64_t exception_wakeup_ns = 0;  // woken to running; 0: no records for late wake-ups
  uint32_t sample_every = 0;         // one record in N deliveries; 0: none
  uint32_t ring_bytes = 0;           // for pending records, a power of two; 0: 1 MiB
  uint64_t blame_from_ns = 20'000;   // run-queue delays that somebody is blamed for; 0: none
};

// The epoll probe on some processes: all their threads, those that start later too. Attached from
// construction to destruction. Not thread-safe.
class EpollProbe {
 public:
  using WaitHandler = std::function<void(const epoll_wait_record&)>;

  // By a BPF backend. Throws LoadError when the kernel refuses it, with the cause and a remedy.
  EpollProbe(const EpollProbeOptions& options, const kernel::Facts& facts, const Plan& plan,
             WaitHandler on_wait);
  ~EpollProbe();

  // Others, where children are followed; those that are known already, or gone, change nothing.
  void add_targets(const std::vector<pid_t>& tgids);
  // Those that have not ended, children included, as we see them; ascending.
  std::vector<pid_t> targets();

  // Cumulative since attach. A worker whose thread has ended is in one more snapshot, then its slot
  // is reused.
  model::EpollSnapshot read();

  // The epoll instances that the targets have open, with what is ready on each now. Visits all of
  // their open files. Throws Error when it is cut short.
  std::vector<epoll_list_record> instances() const;

  // Who had the CPU while workers waited for it, since attach.
  std::vector<model::Blame> blames() const;

  // Hands pending single records to the handler. The descriptor is readable when many wait; call
  // consume() on a timer too, since few do not wake anybody.
  void consume();
  int descriptor() const;

  uint64_t attached_ns() const;

  // Without detail, waits, events and batches are counted and nothing else is measured: programs
  // that do return at once. (Attaching anew instead patches the kernel's text, and has all CPUs
  // wait for one another.) With it from the start. To be called after read(), where an interval
  // ends: the next one's detailed_ns is 0 without it.
  void set_detail(bool wanted);

  // Has the kernel time every BPF program of the host from now on, or no longer; that costs some 40
  // ns a run (BPF_ENABLE_STATS), and to begin or end it patches the kernel's text. Throws Error
  // when refused.
  void measure_cost(bool wanted);
  // Since attach, as far as measured.
  std::vector<ProgramCost> costs() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace epulse::probes
