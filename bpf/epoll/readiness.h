/* A watched file signals: ep_poll_callback() runs for its item, or is about to. */
#ifndef EPULSE_BPF_EPOLL_READINESS_H
#define EPULSE_BPF_EPOLL_READINESS_H

#include "epoll/state.h"
#include "lib/eventpoll.h"

/* Address from /proc/kallsyms, set before load: the wait-queue entry's function of every watched
 * file. */
const volatile __u64 ep_poll_callback_address = 0;

#define WATCHERS_MAX 64 /* epoll instances looked at per socket */
/* What sk_data_ready signals: net/core/sock.c, sock_def_readable(). */
#define READ_EVENTS (EPOLLIN | EPOLLPRI | EPOLLRDNORM | EPOLLRDBAND)

static __always_inline const struct epitem* epitem_of_entry(__u64 entry) {
  const struct eppoll_entry* watch =
      (const void*)entry - bpf_core_field_offset(struct eppoll_entry, wait);
  return KERNEL_READ(struct eppoll_entry, watch, base);
}

/* Does the signal make the item ready anew? */
static __always_inline void count_signal(struct epoll_instance* instance, const struct epitem* epi,
                                         __u32 events, __u64 now) {
  __u64 key = (__u64)epi;
  __u64 epoch = instance->drains + 1;
  struct item fresh_item = {.ready_ns = now, .epoch = epoch};
  bool queued = epitem_is_queued(epi);
  struct item* item;
  /* An edge-triggered item on a list has not been delivered yet. A level-triggered one may be there
   * because it was put back after delivery: then it counts, once between two drains. */
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
  /* Of two CPUs at the same instant, either may be the first. */
  if (!instance->first_ready_ns) instance->first_ready_ns = now;
}

/* The item of instance `epoll_id` signals `signalled` (poll bits; 0: the file does not say which).
 */
static __always_inline void on_item_signalled(__u64 epoll_id, const struct epitem* epi,
                                              __u32 events, __u32 signalled) {
  struct epoll_instance* instance = bpf_map_lookup_elem(&instances, &epoll_id);
  struct signal* signal;
  __u32 zero = 0;
  __u64 now;
  /* What is signalled before the round's first wait on it may be delivered by one that is not seen.
   */
  if (!instance || instance->detail_round != detail_round) return;
  /* As ep_poll_callback() does: disarmed, or not asked for. */
  if (!(events & ~EP_PRIVATE_BITS) || (signalled && !(signalled & events))) return;
  now = bpf_ktime_get_ns();
  signal = bpf_map_lookup_elem(&last_signal, &zero);
  if (signal) {
    signal->ns = now;
    signal->epoll_id = epoll_id;
  }
  count_signal(instance, epi, events, now);
}

/* ep_poll_callback() runs for the wait-queue entry. */
static __always_inline void on_callback(__u64 entry, __u32 signalled) {
  const struct epitem* epi;
  if (!detail_round) return;
  epi = epitem_of_entry(entry);
  on_item_signalled((__u64)KERNEL_READ(struct epitem, epi, ep), epi,
                    KERNEL_READ(struct epitem, epi, event.events), signalled);
}

/* A readable socket wakes the one that waits for it by `entry` of its wait queue. Returns whether
 * it is the last: __wake_up_common() stops at the first exclusive watcher that has somebody to
 * wake. Global: see list_length(). */
__noinline int wakes_last_watcher(__u64 entry) {
  const struct epitem* epi;
  __u64 epoll_id;
  __u32 events;
  if ((__u64)KERNEL_READ(struct wait_queue_entry, entry, func) != ep_poll_callback_address)
    return 0;
  epi = epitem_of_entry(entry);
  epoll_id = (__u64)KERNEL_READ(struct epitem, epi, ep);
  events = KERNEL_READ(struct epitem, epi, event.events);
  on_item_signalled(epoll_id, epi, events, READ_EVENTS);
  return events & EPOLLEXCLUSIVE && events & READ_EVENTS &&
         eventpoll_has_waiter((const void*)epoll_id);
}

/* A socket is about to wake all that wait for input on it; ep_poll_callback() is one of them. */
static __always_inline void on_socket_readable(const struct socket_wq* wq) {
  __u64 head, at;
  if (!wq || !detail_round) return;
  head = (__u64)&wq->wait.head;
  at = next_link(head);
  for (int i = 0; i < WATCHERS_MAX && at && at != head; i++, at = next_link(at)) {
    if (wakes_last_watcher(at - bpf_core_field_offset(struct wait_queue_entry, entry))) break;
  }
}

#endif
