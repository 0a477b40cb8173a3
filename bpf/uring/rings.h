/* The rings of the target, and where their heads and tails are. */
#ifndef EPULSE_BPF_URING_RINGS_H
#define EPULSE_BPF_URING_RINGS_H

#include "lib/uring.h"
#include "uring/state.h"

static __always_inline struct uring_ring* find_ring(__u64 ring_id) {
  __u32* index;
  if (!rings_known) return 0;
  index = bpf_map_lookup_elem(&ring_of, &ring_id);
  return index ? bpf_map_lookup_elem(&rings, index) : 0;
}

/* A ring that was not there before; what its place has of another is no longer valid. */
static __always_inline void start_ring(struct uring_ring* ring, __u64 ring_id) {
  ring->primed = 0;
  ring->generation++;
  ring->fd = -1;
  ring->home = NO_SLOT;
  ring->ring_id = ring_id;
}

/* From now on, what happens to this ring is seen. */
static __noinline struct uring_ring* know_ring(__u64 ring_id, bool created) {
  struct uring_ring* ring;
  __u32 index, *known = bpf_map_lookup_elem(&ring_of, &ring_id);
  if (known) {
    ring = bpf_map_lookup_elem(&rings, known);
    if (ring && created) start_ring(ring, ring_id); /* a reused address */
    return ring;
  }
  if (!attached) return 0;
  if (bpf_map_pop_elem(&free_rings, &index)) {
    __sync_fetch_and_add(&rings_dropped, 1);
    return 0;
  }
  ring = bpf_map_lookup_elem(&rings, &index);
  if (!ring) return 0;
  start_ring(ring, ring_id);
  if (bpf_map_update_elem(&ring_of, &ring_id, &index, BPF_NOEXIST)) {
    bpf_map_push_elem(&free_rings, &index, 0);
    return find_ring(ring_id); /* another CPU was first */
  }
  __sync_fetch_and_add(&rings_known, 1);
  return ring;
}

/* The heads and tails that the kernel and the application share. */
static __always_inline const struct io_rings* shared_rings(__u64 ring_id) {
  const struct io_ring_ctx* ctx = (const void*)ring_id;
  return BPF_CORE_READ(ctx, rings);
}

/* The first look at a ring: what is there already has not been seen coming. */
static __always_inline void prime(struct uring_ring* ring) {
  const struct io_ring_ctx* ctx = (const void*)ring->ring_id;
  if (ring->primed) return;
  ring->setup_flags = BPF_CORE_READ(ctx, flags);
  ring->sq_entries = BPF_CORE_READ(ctx, sq_entries);
  ring->cq_entries = BPF_CORE_READ(ctx, cq_entries);
  ring->sq_dropped = BPF_CORE_READ(ctx, rings, sq_dropped);
  ring->reaped = BPF_CORE_READ(ctx, rings, cq.head);
  ring->returned_tag = 0;
  ring->burst = 0;
  ring->primed = 1;
}

static __always_inline __u64 stamp_tag(const struct uring_ring* ring, __u32 position) {
  return (__u64)ring->generation << 32 | position;
}

/* When the CQE at `position` was posted; 0 when that was not seen, or is too long ago. */
static __always_inline __u64 posted_ns(const struct uring_ring* ring, __u32 position) {
  const struct uring_stamp* stamp = &ring->stamps[position & (URING_STAMPS - 1)];
  return stamp->tag == stamp_tag(ring, position) ? stamp->posted_ns : 0;
}

#endif
