/* What the epoll probe keeps in the kernel, and how it is set up before load. */
#ifndef EPULSE_BPF_EPOLL_STATE_H
#define EPULSE_BPF_EPOLL_STATE_H

#include "epoll.h"
#include "lib/bpf.h"

const volatile __u32 exception_depth = 0;     /* 0: off */
const volatile __u64 exception_wakeup_ns = 0; /* 0: off */
const volatile __u32 sample_every = 0;        /* 0: off */
const volatile __u64 blame_from_ns = 0;       /* run-queue delays from here on; 0: off */
/* A hook at the start of every drain tells its depth; without one the thread looks for itself when
 * it enters epoll_wait and when it gets a CPU. */
const volatile __u8 drain_is_hooked = 0;
/* A hook at the end of every scan of the ready list counts them. */
const volatile __u8 scan_end_is_hooked = 0;
/* Threads are kept in task-local storage (Linux 5.11), else in a hash map. */
const volatile __u8 task_storage = 1;

/* A watched file's last signal. */
struct item {
  __u64 ready_ns;
  __u64 epoch; /* instance.drains + 1 at that time: counted once between two drains */
};

#define LEFT_UNKNOWN (-1)
#define OLDEST_UNKNOWN (~0ULL)

/* To keep to a budget, user space has the wake-ups, the readiness and the drains left out at times,
 * and waits only counted. 0: so it is; else a number that no earlier time of detail had: a wait
 * that did not begin in this one was not seen whole. */
__u32 detail_round = 0;

/* A target thread, from its first epoll_wait on. */
struct thread {
  __u64 epoll_id;
  __u64 enter_ns;
  __u64 exit_ns;    /* when the handler began, or went on; 0 when the last wait began none */
  __u64 handler_ns; /* of the last delivery, as far as the thread has waited again; 0: unknown */
  __u64 waking_ns;
  __u64 running_ns;
  __u64 oldest_ready_ns; /* of the items that the drain will find; 0: unknown */
  __u64 ready_to_woken_ns;
  __u64 argument; /* of a hooked function, for an instant */
  __u32 tid;
  __u32 slot;
  __s32 epfd;
  __u32 in_wait;
  __u32 max_events;
  __s32 listed;
  __u32 fresh;
  __u32 drain_started;
  __u32 until_sample;
  __u32 looks_left;    /* that the handler may go on after; 0: it has ended, and is counted */
  __s32 left;          /* as the end of the scan showed it; LEFT_UNKNOWN */
  __u32 waits_for_cpu; /* since this detail round; 0: not */
  __u32 detail_round;  /* as it was when the wait began */
};

struct {
  __uint(type, BPF_MAP_TYPE_TASK_STORAGE);
  __uint(map_flags, BPF_F_NO_PREALLOC);
  __type(key, int);
  __type(value, struct thread);
} threads SEC(".maps");

/* For kernels without task-local storage; user space deletes those that have ended. */
struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(max_entries, 4096);
  __type(key, __u32);
  __type(value, struct thread);
} threads_by_tid SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(max_entries, 4096);
  __type(key, __u64);
  __type(value, struct epoll_instance);
} instances SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_LRU_HASH);
  __uint(max_entries, 65536);
  __type(key, __u64); /* address of the epitem */
  __type(value, struct item);
} items SEC(".maps");

/* When this CPU last signalled an item of the target: the wake-up that follows is its doing. */
struct signal {
  __u64 ns;
  __u64 epoll_id;
};

struct {
  __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
  __uint(max_entries, 1);
  __type(key, __u32);
  __type(value, struct signal);
} last_signal SEC(".maps");

/* Where a (instance, thread) pair has its statistics. */
struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(max_entries, 256);
  __type(key, struct epoll_worker_key);
  __type(value, __u32);
} slot_of SEC(".maps");

/* User space maps this one and reads it without a system call. */
struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(map_flags, BPF_F_MMAPABLE);
  __uint(max_entries, 256);
  __type(key, __u32);
  __type(value, struct epoll_worker_stats);
} workers SEC(".maps");

/* Indices of `workers` that nobody uses; user space fills it, and gives back those of dead threads.
 */
struct {
  __uint(type, BPF_MAP_TYPE_STACK);
  __uint(max_entries, 256);
  __uint(value_size, sizeof(__u32));
} free_slots SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_RINGBUF);
  __uint(max_entries, 1024 * 1024);
} waits SEC(".maps");

/* Records that found the ring buffer full. */
struct {
  __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
  __uint(max_entries, 1);
  __type(key, __u32);
  __type(value, __u64);
} waits_dropped SEC(".maps");

__u64 workers_dropped = 0;   /* epoll_wait calls of threads that found no slot */
__u64 instances_dropped = 0; /* ... of instances that found no room */

static __always_inline struct thread* thread_of(struct task_struct* task) {
  __u32 tid;
  if (task_storage) return bpf_task_storage_get(&threads, task, 0, 0);
  tid = (__u32)task->pid;
  return bpf_map_lookup_elem(&threads_by_tid, &tid);
}

/* Is the thread in a wait that is measured in detail? */
static __always_inline bool in_detailed_wait(const struct thread* thread) {
  return thread->in_wait && thread->detail_round && thread->detail_round == detail_round;
}

static __always_inline struct thread* current_thread(void) {
  __u32 tid;
  if (task_storage) return bpf_task_storage_get(&threads, bpf_get_current_task_btf(), 0, 0);
  tid = (__u32)bpf_get_current_pid_tgid();
  return bpf_map_lookup_elem(&threads_by_tid, &tid);
}

static __always_inline struct thread* new_current_thread(void) {
  struct thread unused = {};
  struct thread* thread;
  __u32 tid;
  if (task_storage)
    return bpf_task_storage_get(&threads, bpf_get_current_task_btf(), 0,
                                BPF_LOCAL_STORAGE_GET_F_CREATE);
  tid = (__u32)bpf_get_current_pid_tgid();
  thread = bpf_map_lookup_elem(&threads_by_tid, &tid);
  if (thread) return thread;
  bpf_map_update_elem(&threads_by_tid, &tid, &unused, BPF_NOEXIST);
  return bpf_map_lookup_elem(&threads_by_tid, &tid);
}

#endif
