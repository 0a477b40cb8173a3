#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

// What this host lets a tracer do. Facts only: what follows from them is decided in probes/plan.
namespace epulse::kernel {

struct Facts {
  std::string release;  // uname -r
  std::string arch;     // uname -m
  bool btf = false;     // /sys/kernel/btf/vmlinux
  bool lockdown_confidentiality = false;
  bool effective_root = false;
  bool host_pid_namespace = true;  // the pids we see are the kernel's own
  bool own_proc = true;            // /proc shows our pid namespace
  int bpf_errno = 0;               // of creating a BPF map; 0: allowed
  // Kernel functions that the probes know, by address; 0: absent (perhaps inlined) or hidden.
  std::map<std::string, uint64_t, std::less<>> functions;
  // Tracepoints of single system calls, by id; empty where tracefs is refused.
  std::map<std::string, uint64_t, std::less<>> syscall_tracepoints;
  int trampoline_errno = 0;  // of attaching an fentry program; 0: allowed
  bool kprobes = false;      // the kernel can put kprobes (CONFIG_KPROBES)
  // Typed tracepoints, found in the kernel's BTF.
  bool tp_sk_data_ready = false;
  bool tp_sched_waking = false;
  bool tp_sched_switch = false;
  bool tp_sys_enter = false;
  bool tp_sys_exit = false;
  bool iter_task_file = false;
  bool task_storage = false;  // task-local storage map (5.11)
  bool ring_buffer = false;   // BPF ring buffer (5.8)
  bool rdonly_cast = false;   // kfunc bpf_rdonly_cast (6.2)
  bool schedstat = false;     // /proc/PID/schedstat counts

  uint64_t address(std::string_view function) const {
    const auto found = functions.find(function);
    return found == functions.end() ? 0 : found->second;
  }
  bool has(std::string_view function) const { return address(function) != 0; }
};

// Asks the running kernel. Fails on nothing: what cannot be read is reported as absent.
Facts detect();

}  // namespace epulse::kernel
