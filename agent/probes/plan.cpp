#include "agent/probes/plan.hpp"

#include <fmt/format.h>

#include "agent/error.hpp"
#include "agent/model/epoll_stats.hpp"

namespace epulse::probes {
namespace {

// The first reason why the tracepoint backend cannot run, empty when it can.
std::string obstacle(const kernel::Facts& facts) {
  if (facts.bpf_errno != 0) {
    return fmt::format("BPF is refused ({}); {}", errno_text(facts.bpf_errno),
                       facts.effective_root ? "the container or the kernel's lockdown forbids it"
                                            : "run as root or with CAP_BPF and CAP_PERFMON");
  }
  if (!facts.host_pid_namespace) {
    return "this is a pid namespace of its own, whose pids the kernel's probes do not know; run on "
           "the "
           "host, or the container with the host's pid namespace";
  }
  if (facts.lockdown_confidentiality) {
    return "the kernel is locked down (confidentiality): BPF may not read kernel memory";
  }
  if (!facts.btf) return "the kernel has no BTF (/sys/kernel/btf/vmlinux, CONFIG_DEBUG_INFO_BTF)";
  if (!facts.task_storage) return "no task-local storage for tracing programs (Linux 5.11)";
  if (!facts.ring_buffer) return "no BPF ring buffer (Linux 5.8)";
  if (!facts.tp_sys_enter || !facts.tp_sys_exit) return "no sys_enter/sys_exit tracepoints";
  if (!facts.tp_sched_waking || !facts.tp_sched_switch) return "no sched tracepoints";
  if (!facts.tp_sk_data_ready) return "no sk_data_ready tracepoint (Linux 6.3)";
  if (!facts.iter_task_file) return "no task_file iterator (Linux 5.8)";
  if (facts.ep_poll_callback == 0 || facts.ep_eventpoll_poll == 0) {
    return facts.effective_root ? "kernel addresses are hidden (kernel.kptr_restrict is 2)"
                                : "kernel addresses are hidden (kernel.kptr_restrict); run as root";
  }
  return {};
}

constexpr const char* kSocketsOnly =
    "exact for sockets that become readable; other sources and write events have no readiness time";

Plan with_tracepoints() {
  Plan result{Backend::kTracepoint, "", {}};
  const auto add = [&](std::string_view name, bool needs_readiness) {
    result.metrics.push_back({std::string(name),
                              needs_readiness ? Quality::kEstimated : Quality::kExact,
                              needs_readiness ? kSocketsOnly : ""});
  };
  for (size_t i = 0; i < model::kItemsNames.size(); ++i) {
    add(model::kItemsNames[i], i == EPOLL_ITEMS_FRESH);
  }
  for (size_t i = 0; i < model::kStageNames.size(); ++i) {
    add(model::kStageNames[i],
        i == EPOLL_STAGE_READY_TO_WOKEN || i == EPOLL_STAGE_READY_TO_DELIVERED);
  }
  add("empty wake-ups", false);
  return result;
}

}  // namespace

Plan without_bpf(const kernel::Facts& facts, const std::string& why) {
  Plan result{Backend::kProcfs, why, {}};
  const auto absent = [&](std::string_view name) {
    result.metrics.push_back({std::string(name), Quality::kAbsent, why});
  };
  for (const auto name : model::kItemsNames) absent(name);
  for (size_t i = 0; i < model::kStageNames.size(); ++i) {
    if (i == EPOLL_STAGE_WOKEN_TO_RUNNING && facts.schedstat) {
      result.metrics.push_back(
          {std::string(model::kStageNames[i]), Quality::kEstimated,
           "mean per time slice from /proc/PID/task/TID/schedstat; no quantiles"});
    } else {
      absent(model::kStageNames[i]);
    }
  }
  absent("empty wake-ups");
  return result;
}

Plan plan(const kernel::Facts& facts) {
  const std::string why = obstacle(facts);
  return why.empty() ? with_tracepoints() : without_bpf(facts, why);
}

const char* to_string(Backend backend) {
  switch (backend) {
    case Backend::kTracepoint:
      return "tracepoint";
    case Backend::kProcfs:
      return "procfs";
  }
  return "?";
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
