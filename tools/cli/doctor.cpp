#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "agent/error.hpp"
#include "agent/probes/attach.hpp"
#include "agent/probes/survey.hpp"
#include "common/json_line.hpp"
#include "tools/cli/commands.hpp"
#include "tools/cli/output.hpp"

namespace epulse::cli {
namespace {

struct Fact {
  const char* member;  // of JSON
  const char* name;
  std::string value;
};

std::vector<Fact> describe(const kernel::Facts& facts) {
  const auto yes = [](bool value) { return std::string(value ? "yes" : "no"); };
  std::string found;
  for (const auto& [name, address] : facts.functions) {
    if (address != 0) found += (found.empty() ? "" : " ") + name;
  }
  if (found.empty()) found = "none: absent or hidden";
  return {
      {"kernel", "kernel", facts.release + " " + facts.arch},
      {"bpf_allowed", "bpf() allowed",
       facts.bpf_errno == 0 ? "yes" : "no: " + errno_text(facts.bpf_errno)},
      {"root", "root", yes(facts.effective_root)},
      {"host_pid_namespace", "host's pid namespace", yes(facts.host_pid_namespace)},
      {"own_proc", "/proc is of our pid namespace", yes(facts.own_proc)},
      {"kernel_btf", "kernel BTF", yes(facts.btf)},
      {"lockdown_confidentiality", "lockdown for confidentiality",
       yes(facts.lockdown_confidentiality)},
      {"trampolines", "BPF trampolines (fentry)",
       facts.trampoline_errno == 0 ? "yes" : "no: " + errno_text(facts.trampoline_errno)},
      {"kprobes", "kprobes", yes(facts.kprobes)},
      {"kernel_functions", "kernel functions found", found},
      {"tracepoint_sk_data_ready", "tracepoint sk_data_ready", yes(facts.tp_sk_data_ready)},
      {"tracepoints_sched", "tracepoints sched_waking, sched_switch",
       yes(facts.tp_sched_waking && facts.tp_sched_switch)},
      {"tracepoints_syscalls", "tracepoints sys_enter, sys_exit",
       yes(facts.tp_sys_enter && facts.tp_sys_exit)},
      {"tracepoints_epoll_calls", "tracepoints of the epoll calls",
       yes(!facts.syscall_tracepoints.empty())},
      {"iterator_task_file", "iterator task_file", yes(facts.iter_task_file)},
      {"task_storage", "task-local storage", yes(facts.task_storage)},
      {"ring_buffer", "BPF ring buffer", yes(facts.ring_buffer)},
      {"schedstat", "/proc/PID/schedstat", yes(facts.schedstat)},
  };
}

constexpr int kUnsupported = 69;  // as main has it for commands that cannot do without BPF

void print_json(const kernel::Facts& facts, const probes::Plan& plan,
                const std::vector<probes::MetricPlan>& metrics) {
  JsonLine line("doctor");
  line.member("backend", probes::to_string(plan.backend)).member("why", plan.why);
  line.key("facts").begin_object();
  for (const Fact& fact : describe(facts)) line.member(fact.member, fact.value);
  line.end_object().key("metrics").begin_array();
  for (const probes::MetricPlan& metric : metrics) {
    line.begin_object().member("name", metric.name);
    line.member("quality", probes::to_string(metric.quality)).member("why", metric.why);
    line.end_object();
  }
  print_text(line.end_array().finish());
}

}  // namespace

int run_doctor(const DoctorOptions& options) {
  const kernel::Facts facts = kernel::detect();
  // The plan says what should work; only loading shows that it does. Attached to ourselves, for an
  // instant.
  const probes::Plan plan =
      probes::attach({.tgids = {getpid()}}, options.backend, [](const epoll_wait_record&) {}).plan;
  std::vector<probes::MetricPlan> metrics = plan.metrics;
  for (probes::MetricPlan& metric : probes::survey(facts, plan))
    metrics.push_back(std::move(metric));
  const auto absent = std::count_if(metrics.begin(), metrics.end(), [](const auto& metric) {
    return metric.quality == probes::Quality::kAbsent;
  });

  if (options.json) {
    print_json(facts, plan, metrics);
  } else {
    fmt::print("facts\n");
    for (const Fact& fact : describe(facts)) fmt::print("  {:40} {}\n", fact.name, fact.value);
    fmt::print("plan\n  {:40} {}{}\n", "backend", probes::to_string(plan.backend),
               plan.backend == probes::Backend::kProcfs ? "" : ", loaded and attached");
    if (!plan.why.empty()) fmt::print("  {:40} {}\n", "why not better", plan.why);
    fmt::print("metrics\n");
    for (const auto& metric : metrics) {
      fmt::print("  {:22} {:10} {}\n", metric.name, probes::to_string(metric.quality),
                 metric.why == plan.why && !metric.why.empty() ? "see above" : metric.why);
    }
  }
  if (plan.backend == probes::Backend::kProcfs) return kUnsupported;
  return absent == 0 ? 0 : 1;
}

}  // namespace epulse::cli
