/* The kernel types that the probes touch, and of each only the fields they read. CO-RE relocates
 * every access to the running kernel's BTF at load, so order, size and the fields left out do not
 * matter, and a build needs no BTF. Field names and types: include/linux/sched.h, fs/eventpoll.c,
 * include/net/sock.h of Linux 6.18; what differs elsewhere is in kernel_fixes.h. */
#ifndef EPULSE_BPF_LIB_KERNEL_TYPES_H
#define EPULSE_BPF_LIB_KERNEL_TYPES_H

/* bpf_tracing.h looks at this to use the kernel's register names. */
#define __VMLINUX_H__

#include <linux/bpf.h>
#include <stdbool.h>

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct timespec64 {
  __s64 tv_sec;
  long tv_nsec;
};

struct list_head {
  struct list_head *next, *prev;
};

struct fdtable {
  unsigned int max_fds;
  struct file** fd;
};

struct files_struct {
  struct fdtable* fdt;
};

struct upid {
  int nr;
};

struct pid {
  unsigned int level;
  struct upid numbers[];
};

typedef struct {
  int counter;
} atomic_t;

struct signal_struct {
  atomic_t live;
};

struct task_struct {
  unsigned int __state;
  int pid;
  int tgid;
  struct pid* thread_pid;
  struct signal_struct* signal;
  struct files_struct* files;
  struct task_struct* group_leader;
  char comm[16];
};

struct file_operations {
  void* poll;
};

struct inode {
  unsigned long i_ino;
};

struct file {
  const struct file_operations* f_op;
  struct inode* f_inode;
  void* private_data;
};

struct wait_queue_entry {
  unsigned int flags;
  void* private;
  void* func;
  struct list_head entry;
};

struct wait_queue_head {
  struct list_head head;
};

struct socket_wq {
  struct wait_queue_head wait;
};

typedef struct {
  atomic_t refs;
} refcount_t;

struct in6_addr {
  unsigned char bytes[16];
};

struct sock_common {
  __u32 skc_daddr;
  __u32 skc_rcv_saddr;
  __u16 skc_dport;
  __u16 skc_num;
  unsigned short skc_family;
  volatile unsigned char skc_state;
  struct in6_addr skc_v6_daddr;
  struct in6_addr skc_v6_rcv_saddr;
};

struct sock {
  struct sock_common __sk_common;
  struct socket_wq* sk_wq;
  atomic_t sk_drops;
  struct {
    atomic_t rmem_alloc;
  } sk_backlog;
  int sk_rcvbuf;
  int sk_sndbuf;
  int sk_wmem_queued;
  refcount_t sk_wmem_alloc;
  __u16 sk_type;
  __u16 sk_protocol;
};

struct tcp_sock {
  __u32 rcv_nxt;
  __u32 copied_seq;
  __u32 write_seq;
  __u32 snd_una;
};

struct socket {
  struct sock* sk;
};

struct epoll_event {
  __u32 events;
  __u64 data;
} __attribute__((packed));

struct epitem {
  struct list_head rdllink;
  struct eventpoll* ep;
  struct epoll_event event;
};

struct eppoll_entry {
  struct epitem* base;
  struct wait_queue_entry wait;
};

struct eventpoll {
  struct wait_queue_head wq;
  struct list_head rdllist;
  struct epitem* ovflist;
};

struct seq_file;

struct bpf_iter_meta {
  struct seq_file* seq;
};

struct bpf_iter__task {
  struct bpf_iter_meta* meta;
  struct task_struct* task;
};

struct bpf_iter__task_file {
  struct bpf_iter_meta* meta;
  struct task_struct* task;
  __u32 fd;
  struct file* file;
};

#if defined(__TARGET_ARCH_x86)
struct pt_regs {
  unsigned long r15, r14, r13, r12, bp, bx, r11, r10, r9, r8, ax, cx, dx, si, di, orig_ax, ip, cs,
      flags, sp, ss;
};
#elif defined(__TARGET_ARCH_arm64)
struct user_pt_regs {
  __u64 regs[31], sp, pc, pstate;
};
struct pt_regs {
  union {
    struct user_pt_regs user_regs;
  };
  __u64 orig_x0;
  int syscallno;
};
#endif

#pragma clang attribute pop

#endif
