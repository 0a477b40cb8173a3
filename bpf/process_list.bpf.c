/* The processes that a pid namespace shows, and their numbers outside it (iter/task). */
#include "process_list.h"

#include "lib/bpf.h"

#include "lib/pids.h"

char LICENSE[] SEC("license") = "GPL";

SEC("iter/task")
int list_processes(struct bpf_iter__task* ctx) {
  struct task_struct* task = ctx->task;
  struct process_list_record record = {};
  if (!task || task->pid != task->tgid) return 0;
  record.tgid = (__u32)task->tgid;
  record.reader_level = current_pid_level();
  record.user_tgid = pid_at_level(task, record.reader_level);
  bpf_seq_write(ctx->meta->seq, &record, sizeof(record));
  return 0;
}
