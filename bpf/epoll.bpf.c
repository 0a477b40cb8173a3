/* The tracepoint backend: the life of an event from "socket ready" to "handled", from tp_btf alone.
 *
 *   sk_data_ready   a socket signals its epoll item         -> ready
 *   sched_waking    the thread blocked in epoll_wait is woken -> woken
 *   sched_switch    it gets a CPU                             -> running (a drain starts)
 *   sys_exit        epoll_wait returns                        -> delivered
 *   sys_enter       the thread waits again                    -> handled (a drain starts if work
 * waits)
 *
 * All but sk_data_ready run for the one thread that they are about, so a worker's statistics have a
 * single writer and need no atomics. Every program's first act is to dismiss what is not the
 * target's. */
#include "epoll.h"

#include "lib/bpf.h"

#include "lib/eventpoll.h"
#include "lib/syscalls.h"
#include "lib/target.h"

char LICENSE[] SEC("license") = "GPL";

const volatile __u64 ep_eventpoll_poll_address = 0;
const volatile __u64 ep_poll_callback_address = 0;
const volatile __u32 exception_depth = 0;     /* 0: off */
const volatile __u64 exception_wakeup_ns = 0; /* 0: off */
const volatile __u32 sample_every = 0;        /* 0: off */

/* Ring-buffer consumers are woken when this much waits, else they come by themselves. */
#define RING_WAKEUP_BYTES (64 * 1024)
#define NO_SLOT (~0U)
#define IN_FLIGHT_NS 20000 /* from sk_data_ready to the ready list, interrupts included */
#define WATCHERS_MAX 64    /* epoll instances looked at per socket */

#define EPOLLIN 0x001
#define EPOLLPRI 0x002
#define EPOLLRDNORM 0x040
#define EPOLLRDBAND 0x080
#define EPOLLEXCLUSIVE (1U << 28)
#define EPOLLET (1U << 31)
/* What sk_data_ready signals: net/core/sock.c, sock_def_readable(). */
#define READ_EVENTS (EPOLLIN | EPOLLPRI | EPOLLRDNORM | EPOLLRDBAND)

/* An instance of the target: there at attach (user space lists it), created since, or waited on. */
struct instance {
  __u64 ready_total;    /* items signalled so far */
  __u64 drained_total;  /* ... when the last drain started */
  __u64 first_ready_ns; /* first signal since then; 0: none */
  __u64 last_ready_ns;  /* last signal ever */
  __u64 drains;         /* drains started: the epoch of `struct item` */
  /* A saturated drain leaves items. The list is first in, first out, so what became ready at this
   * time or later is still on it, and what did before has been delivered. 0: nothing left, or
   * unknown. */
  __u64 oldest_left_ns;
  __u64 left; /* items that the last drain, being saturated, left undelivered */
  __u32 last_tid;
  __u32 shared; /* more than one thread waits on it */
};

/* A watched socket's last signal. */
struct item {
  __u64 ready_ns;
  __u64 epoch; /* instance.drains + 1 at that time: counted once between two drains */
};

/* A target thread, from its first epoll_wait on. */
struct thread {
  __u64 epoll_id;
  __u64 enter_ns;
  __u64 exit_ns; /* of the last delivery; 0 when that wait delivered nothing */
  __u64 waking_ns;
  __u64 running_ns;
  __u64 oldest_ready_ns; /* of the items that the drain will find; 0: unknown */
  __u64 ready_to_woken_ns;
  __u32 tid;
  __u32 slot;
  __s32 epfd;
  __u32 in_wait;
  __u32 max_events;
  __s32 listed;
  __u32 fresh;
  __u32 drain_started;
  __u32 until_sample;
  __u32 reserved;
};

struct {
  __uint(type, BPF_MAP_TYPE_TASK_STORAGE);
  __uint(map_flags, BPF_F_NO_PREALLOC);
  __type(key, int);
  __type(value, struct thread);
} threads SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(max_entries, 4096);
  __type(key, __u64);
  __type(value, struct instance);
} instances SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_LRU_HASH);
  __uint(max_entries, 65536);
  __type(key, __u64); /* address of the epitem */
  __type(value, struct item);
} items SEC(".maps");

/* When this CPU last signalled an item of the target: the wake-up that follows is its doing. */
struct {
  __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
  __uint(max_entries, 1);
  __type(key, __u32);
  __type(value, __u64);
} last_signal_ns SEC(".maps");

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

__u64 waits_dropped = 0;     /* records that found the ring buffer full */
__u64 workers_dropped = 0;   /* epoll_wait calls of threads that found no slot */
__u64 instances_dropped = 0; /* ... of instances that found no room */

/* ---- histograms ---- */

static __always_inline void record_ns(struct ns_histogram* histogram, __u64 value) {
  __u32 slot = epulse_hist_slot(value, EPULSE_NS_EXACT_BITS, EPULSE_NS_MAX_BITS);
  if (slot < EPULSE_NS_SLOTS) histogram->slots[slot]++;
  histogram->count++;
  histogram->sum += value;
  if (value > histogram->max) histogram->max = value;
}

static __always_inline void record_items(struct items_histogram* histogram, __u64 value) {
  __u32 slot = epulse_hist_slot(value, EPULSE_ITEMS_EXACT_BITS, EPULSE_ITEMS_MAX_BITS);
  if (slot < EPULSE_ITEMS_SLOTS) histogram->slots[slot]++;
  histogram->count++;
  histogram->sum += value;
  if (value > histogram->max) histogram->max = value;
}

/* The time between two instants into a stage's histogram. Returns it, 0 when either is unknown. */
static __always_inline __u64 record_stage(struct epoll_worker_stats* stats,
                                          struct ns_histogram* histogram, __u64 from, __u64 to) {
  if (!from || !to) return 0;
  if (to < from) {
    stats->counters[EPOLL_COUNTER_INVALID]++;
    return 0;
  }
  record_ns(histogram, to - from);
  return to - from;
}

/* ---- workers ---- */

static __always_inline struct eventpoll* eventpoll_of_descriptor(int epfd) {
  struct task_struct* task = bpf_get_current_task_btf();
  struct fdtable* table = BPF_CORE_READ(task, files, fdt);
  struct file **slots, *file = 0;
  if (epfd < 0 || (unsigned int)epfd >= BPF_CORE_READ(table, max_fds)) return 0;
  slots = BPF_CORE_READ(table, fd);
  if (bpf_probe_read_kernel(&file, sizeof(file), &slots[epfd])) return 0;
  return eventpoll_of_file(file);
}

static __always_inline __u32 take_slot(const struct epoll_worker_key* key) {
  struct epoll_worker_stats* stats;
  __u32 slot;
  if (bpf_map_pop_elem(&free_slots, &slot)) return NO_SLOT;
  stats = bpf_map_lookup_elem(&workers, &slot);
  if (!stats || bpf_map_update_elem(&slot_of, key, &slot, BPF_ANY)) {
    bpf_map_push_elem(&free_slots, &slot, 0);
    return NO_SLOT;
  }
  stats->epoll_id = key->epoll_id;
  stats->tid = key->tid;
  stats->epfd = key->epfd;
  stats->first_seen_ns = bpf_ktime_get_ns();
  stats->in_use = 1;
  return slot;
}

/* From now on, what becomes ready on this instance is seen. False when there is no room. */
static __always_inline bool know_instance(__u64 epoll_id, __u64 flags) {
  struct instance unused = {};
  if (!bpf_map_update_elem(&instances, &epoll_id, &unused, flags)) return true;
  if (bpf_map_lookup_elem(&instances, &epoll_id)) return true;
  __sync_fetch_and_add(&instances_dropped, 1);
  return false;
}

/* The statistics that `thread` writes to; NULL when user space has given the slot away since. */
static __always_inline struct epoll_worker_stats* own_stats(const struct thread* thread) {
  struct epoll_worker_stats* stats = bpf_map_lookup_elem(&workers, &thread->slot);
  if (!stats || stats->tid != thread->tid || stats->epoll_id != thread->epoll_id) return 0;
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

/* ---- drains ---- */

/* When the oldest item that a saturated drain left became ready: the head's time, since
 * ep_done_scan() puts leftovers back in front. 0 when its readiness was not seen. */
static __always_inline __u64 oldest_left_ns(const struct eventpoll* ep) {
  struct list_head* head = BPF_CORE_READ(ep, rdllist.next);
  __u64 key;
  struct item* item;
  if (!head || head == &ep->rdllist) return 0;
  key = (__u64)epitem_of_link(head);
  item = bpf_map_lookup_elem(&items, &key);
  return item ? item->ready_ns : 0;
}

/* What the drain that starts now will find. */
static __always_inline void start_drain(struct thread* thread, struct instance* instance,
                                        int listed) {
  __u64 ready_total = instance->ready_total;
  __u64 oldest = instance->oldest_left_ns;
  thread->oldest_ready_ns = oldest ? oldest : instance->first_ready_ns;
  thread->fresh += (__u32)(ready_total - instance->drained_total);
  thread->listed = listed;
  thread->drain_started = 1;
  instance->first_ready_ns = 0;
  instance->drained_total = ready_total;
  __sync_fetch_and_add(&instance->drains, 1);
}

/* The thread finds nothing listed. What was signalled before this has been delivered by a wait that
 * we did not see (before attach, in another process) or was idle; what was signalled just now may
 * be on its way to the list. */
static __always_inline void forget_readiness(struct instance* instance, __u64 now) {
  instance->oldest_left_ns = 0;
  instance->left = 0;
  if (!instance->first_ready_ns || now < instance->first_ready_ns + IN_FLIGHT_NS) return;
  instance->first_ready_ns = 0;
  instance->drained_total = instance->ready_total;
}

SEC("tp_btf/sys_enter")
int BPF_PROG(on_syscall_enter, struct pt_regs* regs, long nr) {
  struct thread* thread;
  struct instance* instance;
  struct epoll_worker_stats* stats;
  struct eventpoll* ep;
  __u64 now;
  int epfd, depth;
  if (!is_epoll_wait(nr)) return 0;
  if (!current_is_target()) return 0;
  thread =
      bpf_task_storage_get(&threads, bpf_get_current_task_btf(), 0, BPF_LOCAL_STORAGE_GET_F_CREATE);
  if (!thread) return 0;
  now = bpf_ktime_get_ns();

  if (thread->exit_ns) {
    stats = own_stats(thread);
    if (stats) record_stage(stats, &stats->stages[EPOLL_STAGE_HANDLER], thread->exit_ns, now);
    thread->exit_ns = 0;
  }

  epfd = (int)PT_REGS_PARM1_CORE_SYSCALL(regs);
  ep = eventpoll_of_descriptor(epfd);
  thread->in_wait = 0;
  if (!ep) return 0;
  instance = bpf_map_lookup_elem(&instances, &ep);
  if (!instance || thread->epoll_id != (__u64)ep || thread->epfd != epfd || !own_stats(thread)) {
    if (!follow_instance(thread, (__u64)ep, epfd)) return 0;
    instance = bpf_map_lookup_elem(&instances, &ep);
    if (!instance) return 0;
  }
  if (instance->last_tid != thread->tid) {
    if (instance->last_tid) instance->shared = 1;
    instance->last_tid = thread->tid;
  }

  thread->enter_ns = now;
  thread->waking_ns = 0;
  thread->running_ns = 0;
  thread->oldest_ready_ns = 0;
  thread->ready_to_woken_ns = 0;
  thread->listed = 0;
  thread->fresh = 0;
  thread->drain_started = 0;
  thread->max_events = (__u32)PT_REGS_PARM3_CORE_SYSCALL(regs);
  thread->in_wait = 1;
  depth = eventpoll_depth(ep, instance->shared);
  if (depth)
    start_drain(thread, instance, depth);
  else
    forget_readiness(instance, now);
  return 0;
}

SEC("tp_btf/sched_waking")
int BPF_PROG(on_waking, struct task_struct* task) {
  struct thread* thread;
  struct instance* instance;
  __u64 *signal_ns, now;
  __u32 zero = 0;
  if (!is_target((__u32)task->tgid)) return 0;
  thread = bpf_task_storage_get(&threads, task, 0, 0);
  /* A second wake-up before it runs says that the first came before it slept. */
  if (!thread || !thread->in_wait || thread->running_ns) return 0;
  now = bpf_ktime_get_ns();
  thread->waking_ns = now;
  thread->ready_to_woken_ns = 0;
  instance = bpf_map_lookup_elem(&instances, &thread->epoll_id);
  signal_ns = bpf_map_lookup_elem(&last_signal_ns, &zero);
  if (!instance || !signal_ns) return 0;
  /* ep_poll_callback() wakes from within the signal, so on its CPU; else the waker is no socket. */
  if (*signal_ns == instance->last_ready_ns && *signal_ns >= thread->enter_ns)
    thread->ready_to_woken_ns = now - *signal_ns;
  return 0;
}

static __always_inline void on_switched_out(struct task_struct* task, bool preempted) {
  struct thread* thread = bpf_task_storage_get(&threads, task, 0, 0);
  struct epoll_worker_stats* stats;
  if (!thread || !thread->in_wait || !thread->running_ns || preempted) return;
  /* Sleeping on the instance's mutex or on a page is uninterruptible; ep_poll() sleeps
   * interruptibly. */
  if (!task_sleeps_interruptibly(task)) return;
  stats = own_stats(thread);
  if (stats) stats->counters[EPOLL_COUNTER_EMPTY_WAKEUPS]++;
  thread->waking_ns = 0;
  thread->running_ns = 0;
  thread->ready_to_woken_ns = 0;
  thread->drain_started = 0;
}

static __always_inline void on_switched_in(struct task_struct* task) {
  struct thread* thread = bpf_task_storage_get(&threads, task, 0, 0);
  struct epoll_worker_stats* stats;
  struct instance* instance;
  if (!thread || !thread->in_wait || !thread->waking_ns || thread->running_ns) return;
  thread->running_ns = bpf_ktime_get_ns();
  stats = own_stats(thread);
  if (stats) stats->counters[EPOLL_COUNTER_WAKEUPS]++;
  instance = bpf_map_lookup_elem(&instances, &thread->epoll_id);
  if (!instance) return;
  start_drain(thread, instance, eventpoll_depth((const void*)thread->epoll_id, instance->shared));
}

SEC("tp_btf/sched_switch")
int BPF_PROG(on_switch, bool preempted, struct task_struct* prev, struct task_struct* next) {
  if (is_target((__u32)prev->tgid)) on_switched_out(prev, preempted);
  if (is_target((__u32)next->tgid)) on_switched_in(next);
  return 0;
}

/* ---- delivery ---- */

static __always_inline void report_wait(struct thread* thread, const struct epoll_wait_record* wait,
                                        bool first) {
  struct epoll_wait_record* record;
  __u32 reasons = first ? EPOLL_WAIT_FIRST : 0;
  if (exception_depth && wait->items[EPOLL_ITEMS_LISTED] > exception_depth)
    reasons |= EPOLL_WAIT_DEEP;
  if (exception_wakeup_ns && wait->stage_ns[EPOLL_STAGE_WOKEN_TO_RUNNING] > exception_wakeup_ns)
    reasons |= EPOLL_WAIT_LATE;
  if (sample_every) {
    if (!thread->until_sample) {
      reasons |= EPOLL_WAIT_SAMPLED;
      thread->until_sample = sample_every;
    }
    thread->until_sample--;
  }
  if (!reasons) return;
  record = bpf_ringbuf_reserve(&waits, sizeof(*record), 0);
  if (!record) {
    __sync_fetch_and_add(&waits_dropped, 1);
    return;
  }
  *record = *wait;
  record->reasons = reasons;
  bpf_ringbuf_submit(record, bpf_ringbuf_query(&waits, BPF_RB_AVAIL_DATA) >= RING_WAKEUP_BYTES
                                 ? BPF_RB_FORCE_WAKEUP
                                 : BPF_RB_NO_WAKEUP);
}

/* How many items a saturated drain left undelivered. A level-triggered item is listed again once it
 * is delivered, behind the leftovers, so for those the list's length says too much: count what was
 * waiting instead, as long as that explains the batch (only sockets are seen becoming ready). */
static __always_inline __u32 items_left(const struct thread* thread,
                                        const struct instance* instance, __u32 listed,
                                        __u32 batch) {
  const struct eventpoll* ep = (const void*)thread->epoll_id;
  struct list_head* head = BPF_CORE_READ(ep, rdllist.next);
  const struct epitem* first = epitem_of_link(head);
  __u32 waiting = (__u32)instance->left + thread->fresh;
  if (!head || head == &ep->rdllist) return 0;
  if (BPF_CORE_READ(first, event.events) & EPOLLET || waiting < batch || waiting > listed)
    return listed - batch;
  return waiting - batch;
}

static __always_inline void on_delivered(struct thread* thread, struct epoll_worker_stats* stats,
                                         __u32 batch, __u64 now) {
  struct instance* instance = bpf_map_lookup_elem(&instances, &thread->epoll_id);
  struct epoll_wait_record wait = {};
  bool saturated = batch >= thread->max_events;
  __u32 listed, left;
  if (!instance) return;
  /* The queue filled between our look at it and the kernel's. */
  if (!thread->drain_started || (!thread->fresh && !thread->oldest_ready_ns))
    start_drain(thread, instance, thread->listed);

  /* What was delivered was listed, whatever the walk saw an instant earlier. */
  listed = thread->listed > (__s32)batch ? (__u32)thread->listed : batch;
  /* An item signalled between our look and the kernel's is delivered now, counted next time. */
  if (thread->fresh > listed) thread->fresh = listed;
  /* A drain that was not saturated delivers all that is ready. More signals than deliveries: some
   * item was signalled again before its handler read it, and found idle. Which one is not known, so
   * neither is the age of the oldest that was delivered. */
  if (!saturated && thread->fresh > batch) {
    thread->fresh = batch;
    thread->oldest_ready_ns = 0;
  }
  left = saturated ? items_left(thread, instance, listed, batch) : 0;
  instance->left = left;
  instance->oldest_left_ns = left ? oldest_left_ns((const void*)thread->epoll_id) : 0;
  if (thread->listed == EVENTPOLL_DEPTH_UNSEEN || thread->listed >= EVENTPOLL_WALK_MAX)
    stats->counters[EPOLL_COUNTER_UNSEEN_DEPTH]++;
  stats->counters[EPOLL_COUNTER_DELIVERIES]++;
  if (saturated) stats->counters[EPOLL_COUNTER_SATURATED]++;
  if (!thread->oldest_ready_ns) stats->counters[EPOLL_COUNTER_UNTIMED]++;

  record_items(&stats->items[EPOLL_ITEMS_LISTED], listed);
  record_items(&stats->items[EPOLL_ITEMS_FRESH], thread->fresh);
  record_items(&stats->items[EPOLL_ITEMS_LEFT], left);
  record_items(&stats->items[EPOLL_ITEMS_BATCH], batch);
  wait.items[EPOLL_ITEMS_LISTED] = listed;
  wait.items[EPOLL_ITEMS_FRESH] = thread->fresh;
  wait.items[EPOLL_ITEMS_LEFT] = left;
  wait.items[EPOLL_ITEMS_BATCH] = batch;

  if (thread->ready_to_woken_ns) {
    record_ns(&stats->stages[EPOLL_STAGE_READY_TO_WOKEN], thread->ready_to_woken_ns);
    wait.stage_ns[EPOLL_STAGE_READY_TO_WOKEN] = thread->ready_to_woken_ns;
  }
  wait.stage_ns[EPOLL_STAGE_WOKEN_TO_RUNNING] =
      record_stage(stats, &stats->stages[EPOLL_STAGE_WOKEN_TO_RUNNING],
                   thread->running_ns ? thread->waking_ns : 0, thread->running_ns);
  wait.stage_ns[EPOLL_STAGE_RUNNING_TO_DELIVERED] = record_stage(
      stats, &stats->stages[EPOLL_STAGE_RUNNING_TO_DELIVERED], thread->running_ns, now);
  wait.stage_ns[EPOLL_STAGE_READY_TO_DELIVERED] = record_stage(
      stats, &stats->stages[EPOLL_STAGE_READY_TO_DELIVERED], thread->oldest_ready_ns, now);

  wait.time_ns = now;
  wait.epoll_id = thread->epoll_id;
  wait.tid = stats->tid;
  wait.epfd = thread->epfd;
  wait.cpu = bpf_get_smp_processor_id();
  report_wait(thread, &wait, stats->counters[EPOLL_COUNTER_DELIVERIES] == 1);
}

SEC("tp_btf/sys_exit")
int BPF_PROG(on_syscall_exit, struct pt_regs* regs, long result) {
  struct epoll_worker_stats* stats;
  struct thread* thread;
  __u64 now;
  if (!current_is_target()) return 0;
  if (is_epoll_create(syscall_number(regs))) {
    struct eventpoll* created = eventpoll_of_descriptor((int)result);
    if (created) know_instance((__u64)created, BPF_ANY); /* a reused address starts afresh */
    return 0;
  }
  thread = bpf_task_storage_get(&threads, bpf_get_current_task_btf(), 0, 0);
  if (!thread || !thread->in_wait) return 0;
  thread->in_wait = 0;
  stats = own_stats(thread);
  if (!stats) return 0;
  stats->counters[EPOLL_COUNTER_WAITS]++;
  stats->max_events = thread->max_events;
  if (result > 0) {
    now = bpf_ktime_get_ns();
    on_delivered(thread, stats, (__u32)result, now);
    thread->exit_ns = now;
  } else {
    stats->counters[result ? EPOLL_COUNTER_ERRORS : EPOLL_COUNTER_TIMEOUTS]++;
  }
  return 0;
}

/* ---- readiness ---- */

/* ep_poll_callback() is about to run for this item; does it make it ready anew? */
static __always_inline void on_item_signalled(struct instance* instance, struct epitem* epi,
                                              __u32 events, __u64 now) {
  __u64 key = (__u64)epi;
  __u64 epoch = instance->drains + 1;
  struct item fresh_item = {.ready_ns = now, .epoch = epoch};
  struct item* item;
  bool queued;
  instance->last_ready_ns = now;
  /* An edge-triggered item on a list has not been delivered yet. A level-triggered one may be there
   * because it was put back after delivery: then it counts, once between two drains. */
  queued = BPF_CORE_READ(epi, rdllink.next) != &epi->rdllink ||
           epitem_overflow_next(epi) != EP_UNACTIVE_PTR;
  if (queued && events & EPOLLET) return;
  item = bpf_map_lookup_elem(&items, &key);
  if (item) {
    if (item->epoch == epoch) return;
    if (queued && instance->oldest_left_ns && item->ready_ns >= instance->oldest_left_ns) return;
    *item = fresh_item;
  } else {
    bpf_map_update_elem(&items, &key, &fresh_item, BPF_ANY);
  }
  __sync_fetch_and_add(&instance->ready_total, 1);
  __sync_val_compare_and_swap(&instance->first_ready_ns, 0, now);
}

SEC("tp_btf/sk_data_ready")
int BPF_PROG(on_data_ready, const struct sock* sk) {
  struct socket_wq* wq = sk->sk_wq;
  struct list_head *head, *at;
  __u64 *signal_ns, now = 0;
  __u32 zero = 0;
  if (!wq) return 0;
  head = &wq->wait.head;
  at = BPF_CORE_READ(head, next);
  for (int i = 0; i < WATCHERS_MAX && at && at != head; i++, at = BPF_CORE_READ(at, next)) {
    wait_queue_entry_t* entry = (void*)at - bpf_core_field_offset(wait_queue_entry_t, entry);
    struct eppoll_entry* watch;
    struct instance* instance;
    struct epitem* epi;
    __u64 epoll_id;
    __u32 events;
    if ((__u64)BPF_CORE_READ(entry, func) != ep_poll_callback_address) continue;
    watch = (void*)entry - bpf_core_field_offset(struct eppoll_entry, wait);
    epi = BPF_CORE_READ(watch, base);
    events = BPF_CORE_READ(epi, event.events);
    /* Not asked for reading, or a one-shot that has fired: the callback ignores it. */
    if (!(events & READ_EVENTS)) continue;
    epoll_id = (__u64)BPF_CORE_READ(epi, ep);
    instance = bpf_map_lookup_elem(&instances, &epoll_id);
    if (instance) {
      if (!now) {
        now = bpf_ktime_get_ns();
        signal_ns = bpf_map_lookup_elem(&last_signal_ns, &zero);
        if (signal_ns) *signal_ns = now;
      }
      on_item_signalled(instance, epi, events, now);
    }
    /* __wake_up_common() stops at the first exclusive watcher that has somebody to wake. */
    if (events & EPOLLEXCLUSIVE && eventpoll_has_waiter((const void*)epoll_id)) break;
  }
  return 0;
}
