/* The rings of one process, from tp_btf alone: a request's way through io_uring.
 *
 *   io_uring_submit_req   the kernel takes an SQE                       -> submitted
 *   io_uring_complete     a CQE is posted                               -> completed
 *   sys_exit              io_uring_enter returns with CQEs in the CQ    -> returned
 *   sys_enter             the thread comes back, the head has moved     -> reaped
 *
 * Completions are posted by whoever gets there: the submitting thread, a waiting one, task work,
 * the SQPOLL thread, an io-wq worker. So the target is told by its rings, not by who runs: a ring
 * is the target's when it is open there at attach, or when a thread of the target creates, submits
 * to or enters it. Every program's first act is to dismiss what is not the target's.
 *
 * Runs from Linux 5.10 on: no task storage, no atomics that return something. */
#include "uring.h"

#include "lib/bpf.h"
#include "lib/target.h"
#include "lib/uring.h"
#include "uring/completions.h"
#include "uring/reaps.h"
#include "uring/rings.h"
#include "uring/submissions.h"
#include "uring/syscalls.h"
#include "uring/users.h"

char LICENSE[] SEC("license") = "GPL";

/* ---- rings ---- */

SEC("tp_btf/io_uring_create")
int BPF_PROG(on_create, int fd, void* created) {
  struct uring_ring* ring;
  if (!current_is_target()) return 0;
  ring = know_ring((__u64)created, true);
  if (!ring) return 0;
  prime(ring);
  ring->fd = fd;
  expect_silent_user(ring, (__u32)bpf_get_current_pid_tgid());
  return 0;
}

/* The rings that are open in the target: learned, and listed. */
SEC("iter/task_file")
int list_rings(struct bpf_iter__task_file* ctx) {
  struct task_struct* task = ctx->task;
  struct file* file = ctx->file; /* once: of two loads the compiler makes ctx + offset, refused */
  struct uring_list_record record = {};
  struct uring_ring* ring;
  if (!task || !file || !is_target((__u32)task->tgid)) return 0;
  record.ring_id = (__u64)ring_of_file(file);
  if (!record.ring_id) return 0;
  record.tid = (__u32)task->pid;
  record.fd = (__s32)ctx->fd;
  ring = know_ring(record.ring_id, false);
  if (ring && ring->fd < 0) ring->fd = record.fd;
  bpf_seq_write(ctx->meta->seq, &record, sizeof(record));
  return 0;
}

/* ---- submission ---- */

SEC("tp_btf/io_uring_submit_req")
int BPF_PROG(on_submit_req, struct io_kiocb* request) {
  return submitted(request, false);
}

/* Up to 6.3. */
SEC("tp_btf/io_uring_submit_sqe")
int BPF_PROG(on_submit_sqe, struct io_kiocb* request) {
  return submitted(request, false);
}

/* Up to 5.19, the ring comes first. */
SEC("tp_btf/io_uring_submit_sqe")
int BPF_PROG(on_submit_sqe_of_ring, void* ring, struct io_kiocb* request) {
  return submitted(request, false);
}

SEC("tp_btf/io_uring_req_failed")
int BPF_PROG(on_rejected, const void* sqe, struct io_kiocb* request) {
  return submitted(request, true);
}

SEC("tp_btf/io_uring_queue_async_work")
int BPF_PROG(on_punt, struct io_kiocb* request) {
  return punted(request);
}

/* Up to 5.19, likewise. */
SEC("tp_btf/io_uring_queue_async_work")
int BPF_PROG(on_punt_of_ring, void* ring, int rw, struct io_kiocb* request) {
  return punted(request);
}

/* ---- reaping ---- */

SEC("tp_btf/sys_enter")
int BPF_PROG(on_syscall_enter, struct pt_regs* regs, long nr) {
  return syscall_entered(regs, nr);
}

SEC("tp_btf/sys_enter")
int BPF_PROG(on_syscall_enter_again, struct pt_regs* regs, long nr) {
  return syscall_entered(regs, nr);
}

SEC("tp_btf/io_uring_cqring_wait")
int BPF_PROG(on_wait, void* waited) {
  __u64 id = bpf_get_current_pid_tgid();
  struct uring_user_stats* stats;
  struct uring_ring* ring;
  struct thread* thread;
  if (!is_target((__u32)(id >> 32))) return 0;
  ring = know_ring((__u64)waited, false);
  if (!ring) return 0;
  prime(ring);
  thread = current_user(ring, (__u32)id);
  if (!thread) return 0;
  stats = stats_of(ring, thread->slot);
  if (stats) stats->counters[URING_COUNTER_WAITS]++;
  return 0;
}

SEC("tp_btf/sys_exit")
int BPF_PROG(on_syscall_exit, struct pt_regs* regs, long result) {
  return syscall_returns();
}

SEC("tp_btf/sys_exit")
int BPF_PROG(on_syscall_exit_again, struct pt_regs* regs, long result) {
  return syscall_returns();
}

/* ---- completion ---- */

/* A CQE that is not its request's last comes without the request. Since 6.16: */
SEC("tp_btf/io_uring_complete")
int BPF_PROG(on_complete, void* ring, void* request, struct io_uring_cqe* cqe) {
  if (!rings_known) return 0;
  return completed((__u64)ring, (__u64)request, BPF_CORE_READ(cqe, user_data),
                   BPF_CORE_READ(cqe, flags), request != 0);
}

/* From 5.18 to 6.15, the CQE by value. */
SEC("tp_btf/io_uring_complete")
int BPF_PROG(on_complete_by_value, void* ring, void* request, __u64 user_data, int result,
             unsigned int flags) {
  return completed((__u64)ring, (__u64)request, user_data, flags, request != 0);
}

/* Up to 5.17, without the request. */
SEC("tp_btf/io_uring_complete")
int BPF_PROG(on_complete_by_name, void* ring, __u64 user_data, int result, unsigned int flags) {
  return completed((__u64)ring, 0, user_data, flags, !(flags & IORING_CQE_F_MORE));
}

/* Since 5.18; before it, `completed` tells. */
SEC("tp_btf/io_uring_cqe_overflow")
int BPF_PROG(on_overflow, void* full) {
  struct uring_user_stats* stats;
  struct uring_ring* ring = find_ring((__u64)full);
  if (!ring) return 0;
  prime(ring);
  stats = home_stats(ring);
  if (stats) count(stats, URING_COUNTER_OVERFLOWS);
  return 0;
}
