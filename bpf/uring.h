/* What uring.bpf.c hands to user space. `ring_id` is the address of the kernel's struct
 * io_ring_ctx: an identity, never dereferenced outside the kernel. */
#ifndef EPULSE_BPF_URING_H
#define EPULSE_BPF_URING_H

#include "bpf/lib/histogram.h"

enum uring_stage {
  URING_STAGE_SUBMIT_TO_COMPLETE, /* the kernel takes the SQE, to the request's first CQE */
  URING_STAGE_COMPLETE_TO_RETURN, /* oldest CQE in the CQ posted, to io_uring_enter returning */
  URING_STAGE_COMPLETE_TO_REAP,   /* oldest CQE reaped posted, to the head seen past it */
  URING_STAGES,
};

enum uring_items {
  URING_ITEMS_SQ,          /* SQEs in the SQ when the kernel starts to take them */
  URING_ITEMS_CQ_POSTED,   /* CQEs in the CQ once another is posted */
  URING_ITEMS_CQ_RETURNED, /* CQEs in the CQ when io_uring_enter returns, if any */
  URING_ITEMS_REAPED,      /* CQEs that the head was seen to move by */
  URING_ITEMS,
};

enum uring_counter {
  URING_COUNTER_SUBMISSIONS,   /* SQEs taken */
  URING_COUNTER_REJECTED,      /* ... and refused at once: malformed */
  URING_COUNTER_COMPLETIONS,   /* CQEs posted to the CQ */
  URING_COUNTER_FURTHER,       /* ... that were not their request's first */
  URING_COUNTER_UNTIMED,       /* ... whose submission is unknown or ambiguous */
  URING_COUNTER_OVERFLOWS,     /* CQEs that found the CQ full; not among the completions */
  URING_COUNTER_SQ_DROPPED,    /* SQEs that the kernel dropped: index out of range */
  URING_COUNTER_PUNTS,         /* requests handed to an io-wq worker */
  URING_COUNTER_ENTERS,        /* io_uring_enter calls */
  URING_COUNTER_WAITS,         /* ... that found fewer CQEs than they asked for, and waited */
  URING_COUNTER_UNTIMED_REAPS, /* reaps whose oldest CQE has no posting time */
  URING_COUNTER_INVALID,       /* absurd values, kept out of the histograms */
  URING_COUNTERS,
};

/* Who has a slot of the statistics array. */
struct uring_user_key {
  __u64 ring_id;
  __u32 tid;
  __u32 reserved;
};

/* One ring as one thread uses it. Each field has one writer at a time, so plain adds are exact,
 * but for what is seen of reaps, of punts and of absurd values: those are added atomically.
 *   by the thread, or with the ring's uring_lock held: submissions, SQ, waits, returns
 *   by whoever posts, with the ring's completion lock held: completions of what it submitted */
struct uring_user_stats {
  __u64 ring_id;
  __u64 first_seen_ns;
  __u32 tid;
  __s32 fd;          /* -1: not seen */
  __u32 in_use;      /* set last when the slot is taken */
  __u32 setup_flags; /* IORING_SETUP_ */
  __u32 sq_entries;
  __u32 cq_entries;
  __u64 counters[URING_COUNTERS];
  struct ns_histogram stages[URING_STAGES];
  struct items_histogram items[URING_ITEMS];
};

/* What the iterator writes: one record per ring descriptor of the target. */
struct uring_list_record {
  __u64 ring_id;
  __u32 tid;
  __s32 fd;
};

/* When each of the last CQEs was posted. A power of two; the oldest reaped of more CQEs than this
 * has no posting time. */
#define URING_STAMPS 4096

struct uring_stamp {
  __u64 posted_ns;
  __u64 tag; /* generation of the ring << 32 | position of the CQE */
};

/* A ring of the target. Not for user space, which only needs its size. */
struct uring_ring {
  __u64 ring_id;
  __u64 returned_tag; /* of the oldest CQE at the last return */
  __u32 generation;   /* counts the rings that have been in this place */
  __u32 primed;       /* what follows is set */
  __u32 setup_flags;
  __u32 sq_entries;
  __u32 cq_entries;
  __s32 fd;
  __u32 home;       /* slot of the thread that entered it last: for what no thread is known of */
  __u32 reaped;     /* head, as last seen */
  __u32 burst_head; /* SQ head of the submissions under way */
  __u32 burst;      /* ... is set */
  __u32 sq_dropped; /* the kernel's count, as last seen */
  __u32 reserved;
  struct uring_stamp stamps[URING_STAMPS];
};

#ifdef __cplusplus
static_assert(sizeof(uring_user_key) == 16);
static_assert(sizeof(uring_list_record) == 16);
static_assert(sizeof(uring_stamp) == 16);
static_assert(sizeof(uring_user_stats) % 8 == 0);
#else
_Static_assert(sizeof(struct uring_list_record) == 16, "no padding");
#endif

#endif
