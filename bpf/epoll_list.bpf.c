/* Every epoll instance of the host, by iterating over all open files (iter/task_file). Nothing per
 * event. */
#include "epoll_list.h"

#include "lib/bpf.h"

#include "lib/eventpoll.h"
#include "lib/pids.h"

char LICENSE[] SEC("license") = "GPL";

SEC("iter/task_file")
int list_epolls(struct bpf_iter__task_file* ctx) {
  struct task_struct* task = ctx->task;
  struct file* file = ctx->file;
  struct epoll_list_record record = {};
  struct eventpoll* ep;
  int depth;
  if (!task || !file) return 0;
  ep = eventpoll_of_file(file);
  if (!ep) return 0;
  depth = eventpoll_depth((__u64)ep, true);
  record.epoll_id = (__u64)ep;
  record.tgid = (__u32)task->tgid;
  record.user_tgid = pid_at_level(BPF_CORE_READ(task, group_leader), current_pid_level());
  record.tid = (__u32)task->pid;
  record.epfd = (__s32)ctx->fd;
  record.depth = depth;
  record.waiters = (__u32)eventpoll_waiters(ep);
  BPF_CORE_READ_STR_INTO(&record.comm, task, group_leader, comm);
  bpf_seq_write(ctx->meta->seq, &record, sizeof(record));
  return 0;
}
