/* A drain: the kernel takes what is on the ready list for one epoll_wait. */
#ifndef EPULSE_BPF_EPOLL_DRAINS_H
#define EPULSE_BPF_EPOLL_DRAINS_H

#include "epoll/state.h"
#include "lib/eventpoll.h"

#define IN_FLIGHT_NS 20000 /* from a signal to the ready list, interrupts included */

#define LEFTOVERS_LOOKED_AT 8

/* When the oldest item that a saturated drain left became ready: it put `put_back` items back in
 * front, in their order. Of these a level-triggered one may be idle since an earlier drain, so that
 * its last signal came before those of what has just been delivered. 0 when all are idle,
 * OLDEST_UNKNOWN when the first that waits, or may, has not been seen to signal. */
static __always_inline __u64 oldest_left_ns(const struct eventpoll* ep,
                                            const struct epoll_instance* instance, __u32 put_back) {
  __u64 head = eventpoll_ready_head(ep);
  __u64 link = eventpoll_first_link(ep);
  for (__u32 i = 0; i < LEFTOVERS_LOOKED_AT; i++) {
    struct item* item;
    __u64 key;
    if (i >= put_back || !link || link == head) return 0;
    key = (__u64)epitem_of_link(link);
    item = bpf_map_lookup_elem(&items, &key);
    if (!item) return OLDEST_UNKNOWN;
    if (item->ready_ns >= instance->oldest_drained_ns) return item->ready_ns;
    link = next_link(link);
  }
  return OLDEST_UNKNOWN;
}

/* Items listed now, EVENTPOLL_DEPTH_UNSEEN when another thread scanned meanwhile, or may have. */
static __always_inline int instance_depth(__u64 epoll_id, const struct epoll_instance* instance) {
  __u64 scans = *(const volatile __u64*)&instance->scans;
  int depth;
  if (instance->shared && !scan_end_is_hooked && !eventpoll_numbers_scans())
    return EVENTPOLL_DEPTH_UNSEEN;
  depth = eventpoll_depth(epoll_id, instance->shared);
  return scans == *(const volatile __u64*)&instance->scans ? depth : EVENTPOLL_DEPTH_UNSEEN;
}

/* The length of a list whose head the kernel passes to a function: a pointer for the verifier,
 * which wants a number. */
static __always_inline int length_of_argument(struct thread* thread, __u64 head) {
  *(volatile __u64*)&thread->argument = head;
  return list_length(*(volatile __u64*)&thread->argument);
}

/* What the drain that starts now will find. */
static __always_inline void start_drain(struct thread* thread, struct epoll_instance* instance,
                                        int listed) {
  __u64 ready_total = instance->ready_total;
  __u64 oldest = instance->oldest_left_ns;
  if (oldest == OLDEST_UNKNOWN)
    thread->oldest_ready_ns = 0;
  else
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
static __always_inline void forget_readiness(struct epoll_instance* instance, __u64 now) {
  instance->oldest_left_ns = 0;
  instance->left = 0;
  if (!instance->first_ready_ns || now < instance->first_ready_ns + IN_FLIGHT_NS) return;
  instance->first_ready_ns = 0;
  instance->drained_total = instance->ready_total;
  /* Its items count anew when they signal again. */
  __sync_fetch_and_add(&instance->drains, 1);
}

/* The round's first wait on the instance begins. What was seen in an earlier one has been delivered
 * since, or not: nobody looked. */
static __always_inline void start_round(struct epoll_instance* instance, __u32 round, __u64 now) {
  instance->first_ready_ns = 0;
  instance->oldest_left_ns = 0;
  instance->oldest_drained_ns = now;
  instance->left = 0;
  instance->drained_total = instance->ready_total;
  __sync_fetch_and_add(&instance->drains, 1);
  instance->detail_round = round;
}

/* The kernel is about to take the current thread's items from the ready list; from `taken`, a list
 * of its own, when that is given (not 0). */
static __always_inline void on_scan_starts(const struct eventpoll* ep, __u64 taken) {
  struct thread* thread = current_thread();
  struct epoll_instance* instance;
  if (!thread || thread->epoll_id != (__u64)ep || !in_detailed_wait(thread)) return;
  instance = bpf_map_lookup_elem(&instances, &ep);
  if (!instance) return;
  start_drain(
      thread, instance,
      taken ? length_of_argument(thread, taken) : instance_depth(thread->epoll_id, instance));
}

/* The kernel, holding the instance's mutex, puts back what `leftover` lists, undelivered. */
static __always_inline void on_scan_ends(const struct eventpoll* ep, __u64 leftover) {
  struct thread* thread = current_thread();
  struct epoll_instance* instance;
  if (!thread || thread->epoll_id != (__u64)ep || !in_detailed_wait(thread)) return;
  instance = bpf_map_lookup_elem(&instances, &ep);
  if (instance) instance->scans++;
  thread->left = length_of_argument(thread, leftover);
}

#endif
