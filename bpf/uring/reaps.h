/* The application takes CQEs. */
#ifndef EPULSE_BPF_URING_REAPS_H
#define EPULSE_BPF_URING_REAPS_H

#include "lib/record.h"
#include "uring/users.h"

/* Of an SQPOLL ring, the application and whoever posts may notice the same reap at once. Inserting
 * a key is what one of them alone succeeds in, on every kernel. */
static __always_inline bool claim_reap(const struct uring_ring* ring, __u32 from) {
  struct name claim = {.ring_id = ring->ring_id, .user_data = stamp_tag(ring, from)};
  __u32 unused = 0;
  if (!(ring->setup_flags & IORING_SETUP_SQPOLL)) return true;
  return !bpf_map_update_elem(&claims, &claim, &unused, BPF_NOEXIST);
}

/* The application reaps by moving the head, which nobody sees happen: it has happened since the
 * last look. `stats` are of the thread whose act makes us look. */
static __always_inline void look_at_cq(struct uring_ring* ring, struct uring_user_stats* stats,
                                       __u32 head, __u32 tail, __u64 now) {
  __u32 from = ring->reaped, moved = head - from;
  __u64 posted;
  if (!moved || !claim_reap(ring, from)) return;
  ring->reaped = head;
  if ((__s32)moved < 0 || tail - head > ring->cq_entries) {
    count(stats, URING_COUNTER_INVALID);
    ring->generation++; /* positions may come again: forget what is known of them */
    return;
  }
  record_items_shared(&stats->items[URING_ITEMS_REAPED], moved);
  posted = posted_ns(ring, from);
  if (!posted)
    count(stats, URING_COUNTER_UNTIMED_REAPS);
  else if (posted > now)
    count(stats, URING_COUNTER_INVALID);
  else
    record_ns_shared(&stats->stages[URING_STAGE_COMPLETE_TO_REAP], now - posted);
}

#endif
