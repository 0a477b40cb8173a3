/* The epoll probe: the life of an event from "file ready" to "handled".
 *
 *   readiness   a watched file signals its epoll item       -> ready
 *   wake-up     the thread blocked in epoll_wait is woken   -> woken
 *               it gets a CPU                               -> running
 *   drain       the kernel takes what is listed
 *   wait        epoll_wait returns                          -> delivered
 *               the thread waits again                      -> handled
 *
 * Each has one handler (epoll/), and here one program for each way of being told; user space loads
 * those that its plan chooses (agent/probes/plan.cpp). All but readiness run for the one thread
 * that they are about, so a worker's statistics have a single writer and need no atomics. Every
 * program's first act is to dismiss what is not the target's. */
#include "epoll.h"

#include "epoll/blame.h"
#include "epoll/drains.h"
#include "epoll/readiness.h"
#include "epoll/waits.h"
#include "epoll/wakeups.h"
#include "lib/bpf.h"
#include "lib/syscalls.h"
#include "lib/target.h"

char LICENSE[] SEC("license") = "GPL";

/* ---- every backend: the scheduler's typed tracepoints; only the first three arguments of
 * sched_switch are the same on all kernels ---- */

SEC("tp_btf/sched_waking")
int BPF_PROG(on_waking, struct task_struct* task) {
  if (detail_round && is_target((__u32)task->tgid)) on_woken(task);
  return 0;
}

SEC("tp_btf/sched_switch")
int BPF_PROG(on_switch, bool preempted, struct task_struct* prev, struct task_struct* next) {
  __u64 now = 0; /* one instant for who leaves and who comes */
  if (!detail_round) return 0;
  if (waiting_for_cpu) {
    now = bpf_ktime_get_ns();
    note_switch(prev, now);
  }
  if (is_target((__u32)prev->tgid)) on_switched_out(prev, preempted);
  if (is_target((__u32)next->tgid)) on_switched_in(next, now);
  return 0;
}

/* ---- where there are several targets: children of targets are too, if user space wants so ---- */

SEC("tp_btf/sched_process_fork")
int BPF_PROG(on_fork, struct task_struct* parent, struct task_struct* child) {
  if (is_target((__u32)parent->tgid)) on_forked(parent, child);
  return 0;
}

SEC("tp_btf/sched_process_exit")
int BPF_PROG(on_exit, struct task_struct* task) {
  if (is_target((__u32)task->tgid)) on_thread_ends(task);
  return 0;
}

/* ---- tracepoint: sockets alone ---- */

SEC("tp_btf/sk_data_ready")
int BPF_PROG(on_data_ready, const struct sock* sk) {
  on_socket_readable(sk->sk_wq);
  return 0;
}

/* ---- tracepoint and kprobe: waits ---- */

/* The tracepoints of the epoll calls alone, by perf; user space attaches each program to several.
 * Contexts: kernel/trace/trace_syscalls.c, perf_call_bpf_enter() and perf_call_bpf_exit(). */
struct syscall_enter {
  __u64 regs;
  __u64 nr;
  __u64 args[6];
};

struct syscall_exit {
  __u64 regs;
  __u64 nr;
  __u64 result;
};

SEC("tracepoint")
int on_wait_syscall(struct syscall_enter* call) {
  if (current_is_target()) on_wait_begins((int)call->args[0], (__u32)call->args[2]);
  return 0;
}

SEC("tracepoint")
int on_wait_syscall_exit(struct syscall_exit* call) {
  if (current_is_target()) on_wait_ends((long)call->result);
  return 0;
}

SEC("tracepoint")
int on_create_syscall_exit(struct syscall_exit* call) {
  if (current_is_target()) on_instance_created((int)call->result);
  return 0;
}

/* Without tracefs: every system call of the host passes by. */
SEC("tp_btf/sys_enter")
int BPF_PROG(on_syscall_enter, struct pt_regs* regs, long nr) {
  if (!is_epoll_wait(nr) || !current_is_target()) return 0;
  on_wait_begins((int)PT_REGS_PARM1_CORE_SYSCALL(regs), (__u32)PT_REGS_PARM3_CORE_SYSCALL(regs));
  return 0;
}

SEC("tp_btf/sys_exit")
int BPF_PROG(on_syscall_exit, struct pt_regs* regs, long result) {
  long nr = syscall_number(regs);
  if (is_epoll_wait(nr)) {
    if (current_is_target()) on_wait_ends(result);
  } else if (is_epoll_create(nr)) {
    if (current_is_target()) on_instance_created((int)result);
  }
  return 0;
}

/* ---- fentry: all files ---- */

SEC("fentry/ep_poll_callback")
int BPF_PROG(enter_callback, void* entry, unsigned int mode, int sync, void* key) {
  on_callback((__u64)entry, (__u32)(__u64)key);
  return 0;
}

SEC("fentry/do_epoll_wait")
int BPF_PROG(enter_wait, int epfd, void* events, int max_events) {
  if (current_is_target()) on_wait_begins(epfd, (__u32)max_events);
  return 0;
}

/* The result follows the arguments; do_epoll_wait() has had four of them since 5.10 at least. */
SEC("fexit/do_epoll_wait")
int BPF_PROG(exit_wait, int epfd, void* events, int max_events, void* timeout, int result) {
  if (current_is_target()) on_wait_ends(result);
  return 0;
}

SEC("fexit/do_epoll_create")
int BPF_PROG(exit_create, int flags, int epfd) {
  if (current_is_target()) on_instance_created(epfd);
  return 0;
}

SEC("fentry/ep_send_events")
int BPF_PROG(enter_send_events, struct eventpoll* ep) {
  if (current_is_target()) on_scan_starts(ep, 0);
  return 0;
}

SEC("fentry/ep_send_events_proc")
int BPF_PROG(enter_send_events_proc, struct eventpoll* ep, struct list_head* ready) {
  if (current_is_target()) on_scan_starts(ep, (__u64)ready);
  return 0;
}

SEC("fentry/ep_done_scan")
int BPF_PROG(enter_done_scan, struct eventpoll* ep, struct list_head* leftover) {
  if (current_is_target()) on_scan_ends(ep, (__u64)leftover);
  return 0;
}

/* ---- kprobe: the same, where there are no trampolines; but waits by system calls: every thread of
 * the host that is blocked in do_epoll_wait() would hold one of a kretprobe's few instances ---- */

SEC("kprobe/ep_poll_callback")
int BPF_KPROBE(probe_callback, void* entry, unsigned int mode, int sync, void* key) {
  on_callback((__u64)entry, (__u32)(__u64)key);
  return 0;
}

SEC("kprobe/ep_send_events")
int BPF_KPROBE(probe_send_events, struct eventpoll* ep) {
  if (current_is_target()) on_scan_starts(ep, 0);
  return 0;
}

SEC("kprobe/ep_send_events_proc")
int BPF_KPROBE(probe_send_events_proc, struct eventpoll* ep, struct list_head* ready) {
  if (current_is_target()) on_scan_starts(ep, (__u64)ready);
  return 0;
}

SEC("kprobe/ep_done_scan")
int BPF_KPROBE(probe_done_scan, struct eventpoll* ep, struct list_head* leftover) {
  if (current_is_target()) on_scan_ends(ep, (__u64)leftover);
  return 0;
}
