#pragma once

#include <cstdint>
#include <string>

// What this host lets a tracer do. Facts only: what follows from them is decided in probes/plan.
namespace epulse::kernel {

struct Facts {
  std::string release;  // uname -r
  std::string arch;     // uname -m
  bool btf = false;     // /sys/kernel/btf/vmlinux
  bool lockdown_confidentiality = false;
  bool effective_root = false;
  bool host_pid_namespace = true;  // the pids we see are the kernel's own
  int bpf_errno = 0;               // of creating a BPF map; 0: allowed
  // Kernel functions by address, 0: absent or hidden.
  uint64_t ep_poll_callback = 0;
  uint64_t ep_eventpoll_poll = 0;
  // Typed tracepoints, found in the kernel's BTF.
  bool tp_sk_data_ready = false;
  bool tp_sched_waking = false;
  bool tp_sched_switch = false;
  bool tp_sys_enter = false;
  bool tp_sys_exit = false;
  bool iter_task_file = false;
  bool task_storage = false;  // task-local storage map (5.11)
  bool ring_buffer = false;   // BPF ring buffer (5.8)
  bool schedstat = false;     // /proc/PID/schedstat counts
};

// Asks the running kernel. Fails on nothing: what cannot be read is reported as absent.
Facts detect();

}  // namespace epulse::kernel
