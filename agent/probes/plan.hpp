#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "agent/kernel/facts.hpp"

namespace epulse::probes {

// Best first.
enum class Backend { kFentry, kKprobe, kTracepoint, kProcfs };
enum class Quality { kExact, kEstimated, kAbsent };

// Where the kernel tells how deep the ready list is, by what it has not inlined.
enum class DrainHook {
  kNone,            // we look when the thread enters epoll_wait and when it gets a CPU
  kSendEvents,      // ep_send_events() (7.0)
  kSendEventsProc,  // ep_send_events_proc() (up to 5.10): the list itself, under its lock
};

// How a backend sees a thread enter and leave epoll_wait.
enum class WaitHook {
  kFunctions,           // fentry: do_epoll_wait() itself
  kRawSyscalls,         // sys_enter and sys_exit: a program runs for every system call of the host
  kSyscallTracepoints,  // those of the epoll calls alone, by perf: others pass at a fifth of the
                        // cost
};

struct MetricPlan {
  std::string name;
  Quality quality;
  std::string why;  // empty where exact
};

struct Plan {
  Backend backend;
  WaitHook waits;
  DrainHook drain;
  bool scan_end;      // ep_done_scan() (5.11) tells what a scan left, and that one has been
  bool task_storage;  // else threads are kept in a hash map
  bool fast_reads;    // by bpf_rdonly_cast
  std::string why;    // why not a better one; empty for the best
  std::vector<MetricPlan> metrics;
};

// Backends that are out of the question, and why: refused by the kernel at load, or not asked for.
using Refusals = std::map<Backend, std::string>;

// What can be measured, given the facts. Pure: tested without a kernel.
Plan plan(const kernel::Facts& facts, const Refusals& refusals = {});

// All but one, for a user who asks for it.
Refusals only(Backend backend);

const char* to_string(Backend backend);
// Nullopt for no name of a backend.
std::optional<Backend> backend_named(std::string_view name);
const char* to_string(Quality quality);

}  // namespace epulse::probes
