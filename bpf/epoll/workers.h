/* Which instance a thread waits on, and where its statistics are. */
#ifndef EPULSE_BPF_EPOLL_WORKERS_H
#define EPULSE_BPF_EPOLL_WORKERS_H

#include "epoll/state.h"
#include "lib/eventpoll.h"
#include "lib/target.h"

#define NO_SLOT (~0U)

/* The instance behind a descriptor of the current thread, NULL when it is none. */
static __always_inline struct eventpoll* eventpoll_of_descriptor(int epfd) {
  struct task_struct* task = (void*)bpf_get_current_task();
  struct files_struct* files = KERNEL_READ(struct task_struct, task, files);
  struct fdtable* table = KERNEL_READ(struct files_struct, files, fdt);
  struct file **slots, *file = 0;
  if (epfd < 0 || (unsigned int)epfd >= KERNEL_READ(struct fdtable, table, max_fds)) return 0;
  slots = KERNEL_READ(struct fdtable, table, fd);
  if (bpf_probe_read_kernel(&file, sizeof(file), &slots[epfd])) return 0;
  return eventpoll_of_file(file);
}

static __always_inline __u32 take_slot(const struct epoll_worker_key* key) {
  const struct task_struct* task = (const void*)bpf_get_current_task();
  struct epoll_worker_stats* stats;
  __u32 slot;
  if (bpf_map_pop_elem(&free_slots, &slot)) return NO_SLOT;
  stats = bpf_map_lookup_elem(&workers, &slot);
  if (!stats || bpf_map_update_elem(&slot_of, key, &slot, BPF_ANY)) {
    bpf_map_push_elem(&free_slots, &slot, 0);
    return NO_SLOT;
  }
  stats->epoll_id = key->epoll_id;
  stats->tid = user_pid(task);
  stats->tgid = user_pid(BPF_CORE_READ(task, group_leader));
  stats->kernel_tid = key->tid;
  stats->epfd = key->epfd;
  stats->first_seen_ns = bpf_ktime_get_ns();
  stats->in_use = 1;
  return slot;
}

/* From now on, what becomes ready on this instance is seen. False when there is no room. */
static __always_inline bool know_instance(__u64 epoll_id, __u64 flags) {
  __u64 now = bpf_ktime_get_ns();
  /* Epochs that none before had: addresses of items are used again, too. */
  struct epoll_instance unused = {.known_ns = now, .drains = now, .detail_round = detail_round};
  if (!bpf_map_update_elem(&instances, &epoll_id, &unused, flags)) return true;
  if (bpf_map_lookup_elem(&instances, &epoll_id)) return true;
  __sync_fetch_and_add(&instances_dropped, 1);
  return false;
}

/* epoll_create returned `epfd` to a thread of the target. */
static __always_inline void on_instance_created(int epfd) {
  struct eventpoll* created = eventpoll_of_descriptor(epfd);
  if (created) know_instance((__u64)created, BPF_ANY); /* a reused address starts afresh */
}

/* The statistics that `thread` writes to; NULL when user space has given the slot away since. */
static __always_inline struct epoll_worker_stats* own_stats(const struct thread* thread) {
  struct epoll_worker_stats* stats = bpf_map_lookup_elem(&workers, &thread->slot);
  if (!stats || stats->kernel_tid != thread->tid || stats->epoll_id != thread->epoll_id) return 0;
  return stats;
}

/* Points `thread` at its statistics for this instance. False when it cannot be followed. */
static __always_inline bool follow_instance(struct thread* thread, __u64 epoll_id, int epfd) {
  struct epoll_worker_key key = {
      .epoll_id = epoll_id, .tid = (__u32)bpf_get_current_pid_tgid(), .epfd = epfd};
  __u32* slot;
  thread->epoll_id = 0;
  if (!bpf_map_lookup_elem(&instances, &epoll_id) && !know_instance(epoll_id, BPF_NOEXIST))
    return false;
  slot = bpf_map_lookup_elem(&slot_of, &key);
  thread->slot = slot ? *slot : take_slot(&key);
  if (thread->slot == NO_SLOT) {
    __sync_fetch_and_add(&workers_dropped, 1);
    return false;
  }
  thread->tid = key.tid;
  thread->epoll_id = epoll_id;
  thread->epfd = epfd;
  return true;
}

#endif
