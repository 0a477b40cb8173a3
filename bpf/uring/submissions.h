/* The kernel takes an SQE, at once or by a worker. */
#ifndef EPULSE_BPF_URING_SUBMISSIONS_H
#define EPULSE_BPF_URING_SUBMISSIONS_H

#include "lib/record.h"
#include "uring/users.h"

/* The kernel moves the SQ's head once it has taken a burst, so a head not seen before starts one.
 */
static __always_inline void look_at_sq(struct uring_ring* ring, struct uring_user_stats* stats) {
  const struct io_rings* shared = shared_rings(ring->ring_id);
  __u32 head = BPF_CORE_READ(shared, sq.head), pending, dropped;
  if (ring->setup_flags & IORING_SETUP_SQ_REWIND) return; /* neither head nor tail moves */
  if (ring->burst && ring->burst_head == head) return;
  ring->burst = 1;
  ring->burst_head = head;
  pending = BPF_CORE_READ(shared, sq.tail) - head;
  if (pending > ring->sq_entries)
    count(stats, URING_COUNTER_INVALID);
  else
    record_items(&stats->items[URING_ITEMS_SQ], pending);
  dropped = BPF_CORE_READ(shared, sq_dropped);
  stats->counters[URING_COUNTER_SQ_DROPPED] += dropped - ring->sq_dropped;
  ring->sq_dropped = dropped;
}

/* For the completions that will not name their request. */
static __always_inline void name_request(__u64 request, const struct name* name) {
  struct named named = {.request = request};
  struct named* other = bpf_map_lookup_elem(&names, name);
  if (other && other->request != request) {
    struct request* under_way = bpf_map_lookup_elem(&requests, &other->request);
    named.ambiguous = under_way && under_way->ring_id == name->ring_id;
  }
  if (bpf_map_update_elem(&names, name, &named, BPF_ANY))
    __sync_fetch_and_add(&requests_dropped, 1);
}

static __always_inline int submitted(const struct io_kiocb* kiocb, bool rejected) {
  __u64 id = bpf_get_current_pid_tgid(), ring_id, key = (__u64)kiocb;
  struct request request = {};
  struct uring_user_stats* stats;
  struct uring_ring* ring;
  struct thread* thread;
  if (!rings_known && !is_target((__u32)(id >> 32))) return 0;
  ring_id = (__u64)BPF_CORE_READ(kiocb, ctx);
  ring = find_ring(ring_id);
  if (!ring && is_target((__u32)(id >> 32))) ring = know_ring(ring_id, false);
  if (!ring) return 0;
  prime(ring);
  thread = current_user(ring, (__u32)id);
  if (!thread) return 0;
  stats = stats_of(ring, thread->slot);
  if (!stats) return 0;
  look_at_sq(ring, stats);
  stats->counters[URING_COUNTER_SUBMISSIONS]++;
  if (rejected) stats->counters[URING_COUNTER_REJECTED]++;
  request.submit_ns = bpf_ktime_get_ns();
  request.ring_id = ring_id;
  request.slot = thread->slot;
  if (!complete_names_request || may_be_multishot(BPF_CORE_READ(kiocb, opcode))) {
    struct name name = {.ring_id = ring_id, .user_data = request_user_data(kiocb)};
    request.named = 1;
    name_request(key, &name);
  }
  if (bpf_map_update_elem(&requests, &key, &request, BPF_ANY))
    __sync_fetch_and_add(&requests_dropped, 1);
  return 0;
}

static __always_inline int punted(const struct io_kiocb* kiocb) {
  __u64 key = (__u64)kiocb;
  struct uring_user_stats* stats = 0;
  struct request* request;
  struct uring_ring* ring;
  if (!rings_known) return 0;
  ring = find_ring((__u64)BPF_CORE_READ(kiocb, ctx));
  if (!ring) return 0;
  prime(ring);
  request = bpf_map_lookup_elem(&requests, &key);
  if (request) stats = stats_of(ring, request->slot);
  if (!stats) stats = home_stats(ring);
  if (stats) count(stats, URING_COUNTER_PUNTS);
  return 0;
}

#endif
