#include "agent/probes/plan.hpp"

#include <fmt/format.h>

#include <array>
#include <cerrno>

#include "agent/error.hpp"
#include "agent/model/epoll_stats.hpp"

namespace epulse::probes {
namespace {

constexpr std::array kBpfBackends = {Backend::kFentry, Backend::kKprobe, Backend::kTracepoint};

// The first reason why no BPF backend can run, empty when one may.
std::string common_obstacle(const kernel::Facts& facts) {
  if (facts.bpf_errno != 0) {
    return fmt::format("BPF is refused ({}); {}", errno_text(facts.bpf_errno),
                       facts.effective_root ? "the container or the kernel's lockdown forbids it"
                                            : "run as root or with CAP_BPF and CAP_PERFMON");
  }
  if (!facts.own_proc) {
    return "/proc shows another pid namespace than ours: mount it anew (unshare --mount-proc), or "
           "run on the host";
  }
  if (facts.lockdown_confidentiality) {
    return "the kernel is locked down (confidentiality): BPF may not read kernel memory";
  }
  if (!facts.btf) return "the kernel has no BTF (/sys/kernel/btf/vmlinux, CONFIG_DEBUG_INFO_BTF)";
  if (!facts.ring_buffer) return "no BPF ring buffer (Linux 5.8)";
  if (!facts.tp_sched_waking || !facts.tp_sched_switch) return "no sched tracepoints";
  if (!facts.iter_task_file) return "no task_file iterator (Linux 5.8)";
  if (!facts.has("ep_poll_callback") || !facts.has("ep_eventpoll_poll")) {
    return facts.effective_root ? "kernel addresses are hidden (kernel.kptr_restrict is 2)"
                                : "kernel addresses are hidden (kernel.kptr_restrict); run as root";
  }
  return {};
}

std::string missing_function(const kernel::Facts& facts) {
  for (const char* function : {"do_epoll_wait", "do_epoll_create"}) {
    if (!facts.has(function)) return fmt::format("the kernel has no {}() of its own", function);
  }
  return {};
}

std::string missing_syscall_tracepoints(const kernel::Facts& facts) {
  if (!facts.syscall_tracepoints.empty() || (facts.tp_sys_enter && facts.tp_sys_exit)) return {};
  return "no tracepoints of system calls (CONFIG_FTRACE_SYSCALLS)";
}

// The first reason why `backend` cannot run, empty when it can.
std::string obstacle(const kernel::Facts& facts, Backend backend) {
  switch (backend) {
    case Backend::kFentry:
      if (facts.trampoline_errno != 0) {
        return fmt::format("BPF trampolines are refused ({})", errno_text(facts.trampoline_errno));
      }
      return missing_function(facts);
    case Backend::kKprobe:
      if (!facts.kprobes) return "the kernel has no kprobes (CONFIG_KPROBES)";
      return missing_syscall_tracepoints(facts);
    case Backend::kTracepoint:
      if (std::string missing = missing_syscall_tracepoints(facts); !missing.empty()) {
        return missing;
      }
      if (!facts.tp_sk_data_ready) return "no sk_data_ready tracepoint (Linux 6.3)";
      return {};
    case Backend::kProcfs:
      return {};
  }
  return {};
}

WaitHook wait_hook(const kernel::Facts& facts, Backend backend) {
  if (backend == Backend::kFentry) return WaitHook::kFunctions;
  return facts.syscall_tracepoints.empty() ? WaitHook::kRawSyscalls : WaitHook::kSyscallTracepoints;
}

DrainHook drain_hook(const kernel::Facts& facts, Backend backend) {
  if (backend == Backend::kTracepoint) return DrainHook::kNone;
  if (facts.has("ep_send_events")) return DrainHook::kSendEvents;
  if (facts.has("ep_send_events_proc")) return DrainHook::kSendEventsProc;
  return DrainHook::kNone;
}

constexpr const char* kSocketsOnly =
    "of sockets that become readable alone: other sources and write events have no readiness time "
    "and are left out";

std::vector<MetricPlan> bpf_metrics(Backend backend) {
  std::vector<MetricPlan> metrics;
  const auto add = [&](std::string_view name, bool needs_readiness) {
    const bool estimated = needs_readiness && backend == Backend::kTracepoint;
    metrics.push_back({std::string(name), estimated ? Quality::kEstimated : Quality::kExact,
                       estimated ? kSocketsOnly : ""});
  };
  for (size_t i = 0; i < model::kItemsNames.size(); ++i) {
    add(model::kItemsNames[i], i == EPOLL_ITEMS_FRESH);
  }
  for (size_t i = 0; i < model::kStageNames.size(); ++i) {
    add(model::kStageNames[i],
        i == EPOLL_STAGE_READY_TO_WOKEN || i == EPOLL_STAGE_READY_TO_DELIVERED);
  }
  add("empty wake-ups", false);
  add("blame", false);
  return metrics;
}

std::vector<MetricPlan> procfs_metrics(const kernel::Facts& facts, const std::string& why) {
  std::vector<MetricPlan> metrics;
  const auto absent = [&](std::string_view name) {
    metrics.push_back({std::string(name), Quality::kAbsent, why});
  };
  for (const auto name : model::kItemsNames) absent(name);
  for (size_t i = 0; i < model::kStageNames.size(); ++i) {
    if (i == EPOLL_STAGE_WOKEN_TO_RUNNING && facts.schedstat) {
      metrics.push_back({std::string(model::kStageNames[i]), Quality::kEstimated,
                         "mean per time slice from /proc/PID/task/TID/schedstat; no quantiles"});
    } else {
      absent(model::kStageNames[i]);
    }
  }
  absent("empty wake-ups");
  absent("blame");
  return metrics;
}

std::string why_not(const kernel::Facts& facts, const Refusals& refusals, Backend backend) {
  const auto refused = refusals.find(backend);
  if (refused != refusals.end()) return refused->second;
  const std::string common = common_obstacle(facts);
  return common.empty() ? obstacle(facts, backend) : common;
}

struct Rejection {
  std::vector<Backend> backends;
  std::string why;
};

// "fentry, kprobe: REASON; tracepoint: REASON"
std::string text_of(const std::vector<Rejection>& rejections) {
  std::string text;
  for (const auto& [backends, why] : rejections) {
    std::string names;
    for (const Backend backend : backends) {
      names += fmt::format("{}{}", names.empty() ? "" : ", ", to_string(backend));
    }
    text += fmt::format("{}{}: {}", text.empty() ? "" : "; ", names, why);
  }
  return text;
}

}  // namespace

Plan plan(const kernel::Facts& facts, const Refusals& refusals) {
  Plan result{Backend::kProcfs,
              WaitHook::kFunctions,
              DrainHook::kNone,
              false,
              facts.task_storage,
              facts.rdonly_cast,
              {},
              {}};
  std::vector<Rejection> rejections;
  for (const Backend backend : kBpfBackends) {
    const std::string why = why_not(facts, refusals, backend);
    if (why.empty()) {
      result.backend = backend;
      result.waits = wait_hook(facts, backend);
      result.drain = drain_hook(facts, backend);
      result.scan_end = backend != Backend::kTracepoint && facts.has("ep_done_scan");
      result.why = text_of(rejections);
      result.metrics = bpf_metrics(backend);
      return result;
    }
    if (rejections.empty() || rejections.back().why != why) rejections.push_back({{}, why});
    rejections.back().backends.push_back(backend);
  }
  result.why = rejections.size() == 1 ? rejections[0].why : text_of(rejections);
  result.metrics = procfs_metrics(facts, result.why);
  return result;
}

Refusals only(Backend wanted) {
  Refusals refusals;
  for (const Backend backend : kBpfBackends) {
    if (backend != wanted) {
      refusals[backend] = fmt::format("{} was asked for", to_string(wanted));
    }
  }
  return refusals;
}

const char* to_string(Backend backend) {
  switch (backend) {
    case Backend::kFentry:
      return "fentry";
    case Backend::kKprobe:
      return "kprobe";
    case Backend::kTracepoint:
      return "tracepoint";
    case Backend::kProcfs:
      return "procfs";
  }
  return "?";
}

std::optional<Backend> backend_named(std::string_view name) {
  for (const Backend backend :
       {Backend::kFentry, Backend::kKprobe, Backend::kTracepoint, Backend::kProcfs}) {
    if (name == to_string(backend)) return backend;
  }
  return std::nullopt;
}

const char* to_string(Quality quality) {
  switch (quality) {
    case Quality::kExact:
      return "exact";
    case Quality::kEstimated:
      return "estimated";
    case Quality::kAbsent:
      return "absent";
  }
  return "?";
}

}  // namespace epulse::probes
