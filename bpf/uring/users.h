/* Which threads use a ring, and where their statistics are. */
#ifndef EPULSE_BPF_URING_USERS_H
#define EPULSE_BPF_URING_USERS_H

#include "lib/target.h"
#include "uring/rings.h"

static __noinline __u32 slot_for(struct uring_ring* ring, __u32 tid) {
  struct uring_user_key key = {};
  struct uring_user_stats* stats;
  __u32 slot, *known;
  if (!ring) return NO_SLOT;
  key.ring_id = ring->ring_id;
  key.tid = tid;
  known = bpf_map_lookup_elem(&slot_of, &key);
  if (known) return *known;
  if (bpf_map_pop_elem(&free_slots, &slot)) return NO_SLOT;
  stats = bpf_map_lookup_elem(&users, &slot);
  if (!stats || bpf_map_update_elem(&slot_of, &key, &slot, BPF_ANY)) {
    bpf_map_push_elem(&free_slots, &slot, 0);
    return NO_SLOT;
  }
  stats->ring_id = ring->ring_id;
  stats->tid = tid;
  stats->fd = ring->fd;
  stats->setup_flags = ring->setup_flags;
  stats->sq_entries = ring->sq_entries;
  stats->cq_entries = ring->cq_entries;
  stats->first_seen_ns = bpf_ktime_get_ns();
  stats->in_use = 1;
  return slot;
}

/* The statistics in `slot`, if they are still of this ring: user space may have given it away. */
static __always_inline struct uring_user_stats* stats_of(const struct uring_ring* ring,
                                                         __u32 slot) {
  struct uring_user_stats* stats = bpf_map_lookup_elem(&users, &slot);
  return stats && stats->ring_id == ring->ring_id ? stats : 0;
}

/* Where to count what concerns the ring, whichever thread it is of. */
static __always_inline struct uring_user_stats* home_stats(struct uring_ring* ring) {
  struct uring_user_stats* stats = stats_of(ring, ring->home);
  if (stats) return stats;
  ring->home = slot_for(ring, target_tgid);
  stats = stats_of(ring, ring->home);
  if (!stats) __sync_fetch_and_add(&users_dropped, 1);
  return stats;
}

/* The current thread, as a user of this ring; NULL when there is no room for it. */
static __always_inline struct thread* current_user(struct uring_ring* ring, __u32 tid) {
  struct thread *thread = bpf_map_lookup_elem(&threads, &tid), fresh = {};
  struct uring_user_stats* stats;
  __u32* index;
  if (thread && thread->ring_id == ring->ring_id) {
    stats = stats_of(ring, thread->slot);
    if (stats && stats->tid == tid) return thread;
  }
  index = bpf_map_lookup_elem(&ring_of, &ring->ring_id);
  fresh.slot = slot_for(ring, tid);
  if (!index || fresh.slot == NO_SLOT) {
    __sync_fetch_and_add(&users_dropped, 1);
    return 0;
  }
  fresh.ring_id = ring->ring_id;
  fresh.ring = *index;
  if (thread) {
    *thread = fresh;
    return thread;
  }
  bpf_map_update_elem(&threads, &tid, &fresh, BPF_ANY);
  return bpf_map_lookup_elem(&threads, &tid);
}

static __always_inline void count(struct uring_user_stats* stats, enum uring_counter which) {
  __sync_fetch_and_add(&stats->counters[which], 1);
}

/* The thread that sets up an SQPOLL ring need never enter it: take it for its user from now on. */
static __always_inline void expect_silent_user(struct uring_ring* ring, __u32 tid) {
  struct thread* thread;
  if (!(ring->setup_flags & IORING_SETUP_SQPOLL)) return;
  thread = current_user(ring, tid);
  if (thread) ring->home = thread->slot;
}

#endif
