/* What epoll.bpf.c and user space share. Times are CLOCK_MONOTONIC ns; docs/metrics.md defines the
 * metrics. An epoll id is the address of the kernel's struct eventpoll: an identity, never
 * dereferenced outside the kernel. */
#ifndef EPULSE_BPF_EPOLL_H
#define EPULSE_BPF_EPOLL_H

#include "bpf/lib/histogram.h"

enum epoll_stage {
  EPOLL_STAGE_READY_TO_WOKEN,
  EPOLL_STAGE_WOKEN_TO_RUNNING,
  EPOLL_STAGE_RUNNING_TO_DELIVERED,
  EPOLL_STAGE_READY_TO_DELIVERED,
  EPOLL_STAGE_HANDLER,
  EPOLL_STAGES,
};

enum epoll_items {
  EPOLL_ITEMS_LISTED, /* ready-queue depth: on the ready list when the drain started */
  EPOLL_ITEMS_FRESH,  /* of these, signalled since the drain before */
  EPOLL_ITEMS_LEFT,   /* still listed after a saturated drain */
  EPOLL_ITEMS_BATCH,  /* returned by epoll_wait */
  EPOLL_ITEMS,
};

enum epoll_counter {
  EPOLL_COUNTER_WAITS,         /* epoll_wait calls that returned */
  EPOLL_COUNTER_DELIVERIES,    /* ... with at least one event */
  EPOLL_COUNTER_SATURATED,     /* ... with maxevents events */
  EPOLL_COUNTER_TIMEOUTS,      /* ... with none */
  EPOLL_COUNTER_ERRORS,        /* ... with an error, EINTR included */
  EPOLL_COUNTER_WAKEUPS,       /* times the waiting thread was woken and ran */
  EPOLL_COUNTER_EMPTY_WAKEUPS, /* ... and slept again having delivered nothing */
  EPOLL_COUNTER_UNTIMED, /* deliveries without a readiness time: not sockets, or write events */
  EPOLL_COUNTER_UNSEEN_DEPTH, /* drains whose list another thread was draining, or too long to walk
                               */
  EPOLL_COUNTER_INVALID,      /* absurd times (end before start), kept out of the histograms */
  EPOLL_COUNTERS,
};

/* Who has a slot of the statistics array; the tid is the kernel's number. */
struct epoll_worker_key {
  __u64 epoll_id;
  __u32 tid;
  __s32 epfd;
};

/* One epoll instance as one thread uses it. Written by that thread alone, so plain adds are exact.
 */
struct epoll_worker_stats {
  __u64 epoll_id;
  __u64 first_seen_ns;
  __u32 tid; /* as user space's pid namespace numbers it */
  __s32 epfd;
  __u32 in_use; /* set last when the slot is taken */
  __u32 max_events;
  __u32 tgid;       /* as user space's pid namespace numbers it */
  __u32 kernel_tid; /* as the kernel numbers it */
  __u64 counters[EPOLL_COUNTERS];
  struct ns_histogram stages[EPOLL_STAGES];
  struct items_histogram items[EPOLL_ITEMS];
};

/* An instance of the target: there at attach (user space lists it), created since, or waited on. */
struct epoll_instance {
  __u64 known_ns;       /* since when */
  __u64 ready_total;    /* items signalled so far */
  __u64 drained_total;  /* ... when the last drain started */
  __u64 first_ready_ns; /* first signal since then; 0: none */
  __u64 drains;         /* drains started: the epoch of `struct item` in state.h */
  /* A saturated drain leaves items. The list is first in, first out, so what became ready at this
   * time or later is still on it, and what did before has been delivered. 0: nothing left;
   * OLDEST_UNKNOWN (state.h). */
  __u64 oldest_left_ns;
  __u64 oldest_drained_ns; /* what that drain began with, or the last one whose it is known */
  __u64 left;              /* items that the last drain, being saturated, left undelivered */
  __u64 scans;             /* scans ended, where a hook tells */
  __u32 last_tid;
  __u32 shared;       /* more than one thread waits on it */
  __u32 detail_round; /* what is here was seen in this one (state.h) */
  __u32 reserved;
};

/* Who had the CPU while a woken worker waited for it. */
struct epoll_blame_key {
  __u32 victim;  /* the worker's thread */
  __u32 culprit; /* the other thread; 0: the idle task, which is to say the CPU was slow to wake */
};

struct epoll_blame {
  __u64 ns;
  __u64 times;
  char comm[16];
};

/* Why a wait is reported by itself. */
enum epoll_wait_reason {
  EPOLL_WAIT_DEEP = 1,    /* listed above the depth threshold */
  EPOLL_WAIT_LATE = 2,    /* woken to running above the wake-up threshold */
  EPOLL_WAIT_SAMPLED = 4, /* one in N */
};

/* One epoll_wait, through the ring buffer. Durations are 0 where the stage did not occur. This
 * delivery's handler has not run yet: the handler's is that of the thread's delivery before. */
struct epoll_wait_record {
  __u64 time_ns; /* when epoll_wait returned */
  __u64 epoll_id;
  __u64 stage_ns[EPOLL_STAGES];
  __u32 items[EPOLL_ITEMS];
  __u32 tid;
  __s32 epfd;
  __u32 reasons; /* enum epoll_wait_reason, or-ed */
  __u32 cpu;
};

#ifdef __cplusplus
static_assert(sizeof(epoll_worker_key) == 16);
static_assert(sizeof(epoll_wait_record) == 88);
static_assert(sizeof(epoll_worker_stats) % 8 == 0);
#else
_Static_assert(sizeof(struct epoll_wait_record) == 88, "no padding");
#endif

#endif
