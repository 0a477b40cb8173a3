/* Reading a struct io_ring_ctx and its rings from outside, without locks: of the two heads and two
 * tails, the user writes CQ head and SQ tail whenever it likes. Fields of Linux 6.18; what differs
 * elsewhere has a getter. */
#ifndef EPULSE_BPF_LIB_URING_H
#define EPULSE_BPF_LIB_URING_H

#include "lib/bpf.h"

#define IORING_SETUP_SQPOLL (1U << 1)
#define IORING_SETUP_SQ_REWIND (1U << 20)
#define IORING_ENTER_REGISTERED_RING (1U << 4)
#define IORING_CQE_F_MORE (1U << 1)
#define IORING_CQE_F_NOTIF (1U << 3)
#define REGISTERED_RINGS 16 /* IO_RINGFD_REG_MAX */

#define NR_io_uring_enter 426 /* on every architecture */

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct io_uring {
  __u32 head, tail;
};

struct io_rings {
  struct io_uring sq, cq;
  __u32 sq_dropped;
};

struct io_ring_ctx {
  unsigned int flags;
  struct io_rings* rings;
  unsigned int sq_entries;
  unsigned int cached_cq_tail;
  unsigned int cq_entries;
};

struct io_uring_cqe {
  __u64 user_data;
  __u32 flags;
};

struct io_cqe {
  __u64 user_data;
};

struct io_kiocb {
  __u8 opcode;
  struct io_cqe cqe;
  struct io_ring_ctx* ctx;
};

/* cef216fc32d7 ("io_uring: explicitly keep a CQE in io_kiocb", 5.19): user_data moved. */
struct io_kiocb___o {
  __u64 user_data;
};

struct io_uring_task {
  struct file* registered_rings[REGISTERED_RINGS];
};

/* task_struct of kernel_types.h, and of it what io_uring hangs there. */
struct task_struct___uring {
  struct io_uring_task* io_uring;
};

#pragma clang attribute pop

/* Address from /proc/kallsyms, set before load: file_operations.poll of every ring's file and of
 * nothing else. */
const volatile __u64 io_uring_poll_address = 0;

static __always_inline __u64 request_user_data(const struct io_kiocb* request) {
  const struct io_kiocb___o* old = (const void*)request;
  if (bpf_core_field_exists(old->user_data)) return BPF_CORE_READ(old, user_data);
  return BPF_CORE_READ(request, cqe.user_data);
}

/* Requests of which one submission may post more than one CQE, the ones before the last without
 * saying which request they are of. */
static __always_inline bool may_be_multishot(__u8 opcode) {
  switch (opcode) {
    case 6:  /* IORING_OP_POLL_ADD */
    case 10: /* IORING_OP_RECVMSG */
    case 11: /* IORING_OP_TIMEOUT */
    case 13: /* IORING_OP_ACCEPT */
    case 27: /* IORING_OP_RECV */
    case 46: /* IORING_OP_URING_CMD */
    case 49: /* IORING_OP_READ_MULTISHOT */
    case 58: /* IORING_OP_RECV_ZC */
      return true;
    default:
      return false;
  }
}

static __always_inline struct io_ring_ctx* ring_of_file(const struct file* file) {
  if (!file || (__u64)BPF_CORE_READ(file, f_op, poll) != io_uring_poll_address) return 0;
  return BPF_CORE_READ(file, private_data);
}

/* The ring that the current thread's io_uring_enter(fd, flags) is about, NULL when there is none.
 */
static __always_inline struct io_ring_ctx* ring_of_enter(__u32 fd, __u32 flags) {
  struct task_struct* task = (struct task_struct*)bpf_get_current_task();
  struct file **slots, *file = 0;
  if (flags & IORING_ENTER_REGISTERED_RING) {
    const struct task_struct___uring* user = (const void*)task;
    struct io_uring_task* registered;
    if (!bpf_core_field_exists(struct io_uring_task, registered_rings)) return 0;
    registered = BPF_CORE_READ(user, io_uring);
    if (!registered || fd >= REGISTERED_RINGS) return 0;
    slots = (void*)registered + bpf_core_field_offset(struct io_uring_task, registered_rings);
  } else {
    if (fd >= BPF_CORE_READ(task, files, fdt, max_fds)) return 0;
    slots = BPF_CORE_READ(task, files, fdt, fd);
  }
  if (bpf_probe_read_kernel(&file, sizeof(file), &slots[fd])) return 0;
  return ring_of_file(file);
}

#endif
