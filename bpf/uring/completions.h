/* A CQE is posted, for a request under way. */
#ifndef EPULSE_BPF_URING_COMPLETIONS_H
#define EPULSE_BPF_URING_COMPLETIONS_H

#include "lib/record.h"
#include "uring/reaps.h"
#include "uring/users.h"

/* The request that a CQE answers, NULL when its submission was not seen or is not certain. */
static __always_inline struct request* answered_request(__u64 kiocb, const struct name* name,
                                                        __u64* key) {
  struct request* request;
  *key = kiocb;
  if (!kiocb) {
    struct named* named = bpf_map_lookup_elem(&names, name);
    if (!named) return 0;
    if (named->ambiguous) {
      named->shots++;
      return 0;
    }
    *key = named->request;
  }
  request = bpf_map_lookup_elem(&requests, key);
  return request && request->ring_id == name->ring_id ? request : 0;
}

/* Nothing more comes of this request. True when it is not certain that nothing came before. */
static __always_inline bool forget_request(const struct request* request, const struct name* name,
                                           __u64 key) {
  struct named* named = request->named ? bpf_map_lookup_elem(&names, name) : 0;
  bool ambiguous = named && named->ambiguous;
  bool shots = ambiguous && named->shots;
  if (named && !ambiguous) bpf_map_delete_elem(&names, name);
  bpf_map_delete_elem(&requests, &key);
  return shots;
}

/* `last`: nothing more comes of this request. */
static __always_inline int completed(__u64 ring_id, __u64 kiocb, __u64 user_data, __u32 flags,
                                     bool last) {
  const struct io_ring_ctx* ctx = (const void*)ring_id;
  struct name name = {.ring_id = ring_id, .user_data = user_data};
  struct uring_user_stats* stats = 0;
  struct uring_stamp* stamp;
  struct uring_ring* ring = find_ring(ring_id);
  struct request* request;
  __u64 now, key, submit_ns = 0;
  bool further = flags & IORING_CQE_F_NOTIF;
  __u32 head, tail, listed;
  if (!ring) return 0;
  prime(ring);
  now = bpf_ktime_get_ns();
  head = BPF_CORE_READ(ctx, rings, cq.head);
  tail = BPF_CORE_READ(ctx, cached_cq_tail);
  if (complete_precedes_tail) tail++;
  listed = tail - head;

  request = answered_request(kiocb, &name, &key);
  if (request) {
    stats = stats_of(ring, request->slot);
    if (request->answered) further = true;
    submit_ns = request->submit_ns;
    request->answered = 1;
    if (last && forget_request(request, &name, key)) submit_ns = 0;
  }
  if (!stats) stats = home_stats(ring);
  if (!stats) return 0;

  if (further)
    stats->counters[URING_COUNTER_FURTHER]++;
  else if (!submit_ns)
    stats->counters[URING_COUNTER_UNTIMED]++;
  else if (submit_ns > now)
    count(stats, URING_COUNTER_INVALID);
  else
    record_ns(&stats->stages[URING_STAGE_SUBMIT_TO_COMPLETE], now - submit_ns);

  if (complete_precedes_tail && listed > ring->cq_entries) {
    stats->counters[URING_COUNTER_OVERFLOWS]++;
    return 0;
  }
  stats->counters[URING_COUNTER_COMPLETIONS]++;
  if (listed > ring->cq_entries)
    count(stats, URING_COUNTER_INVALID);
  else
    record_items(&stats->items[URING_ITEMS_CQ_POSTED], listed);
  stamp = &ring->stamps[(tail - 1) & (URING_STAMPS - 1)];
  stamp->posted_ns = now;
  stamp->tag = stamp_tag(ring, tail - 1);
  /* The application of an SQPOLL ring may never make a system call. */
  if (ring->setup_flags & IORING_SETUP_SQPOLL && head != ring->reaped) {
    struct uring_user_stats* home = home_stats(ring);
    if (home) look_at_cq(ring, home, head, tail, now);
  }
  return 0;
}

#endif
