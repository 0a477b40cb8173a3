/* Reading a struct eventpoll from outside, without its lock: everything here is a snapshot that
 * tolerates a list that changes under it. */
#ifndef EPULSE_BPF_LIB_EVENTPOLL_H
#define EPULSE_BPF_LIB_EVENTPOLL_H

#include "lib/bpf.h"
#include "lib/kernel_fixes.h"

/* The longest ready list that is counted; deeper ones are reported as this deep. Two branches an
 * item against the verifier's limit of 8,192 jumps in a path. */
#define EVENTPOLL_WALK_MAX 2048

/* Another thread's scan has the items. */
#define EVENTPOLL_DEPTH_UNSEEN (-1)

/* Addresses from /proc/kallsyms, set before load. ep_eventpoll_poll is file_operations.poll of
 * every epoll file and of nothing else; ep_poll_callback is the wait-queue entry's function of
 * every watched file. */
extern const volatile __u64 ep_eventpoll_poll_address;
extern const volatile __u64 ep_poll_callback_address;

/* The instance behind an epoll file, NULL for any other file. */
static __always_inline struct eventpoll* eventpoll_of_file(const struct file* file) {
  if (!file || (__u64)BPF_CORE_READ(file, f_op, poll) != ep_eventpoll_poll_address) return 0;
  return BPF_CORE_READ(file, private_data);
}

/* A scan is under way: the ready list is spliced to a list on the scanning thread's stack. */
static __always_inline bool eventpoll_is_scanned(const struct eventpoll* ep) {
  return BPF_CORE_READ(ep, ovflist) != EP_UNACTIVE_PTR;
}

static __always_inline int list_length(const struct list_head* head, int limit) {
  const struct list_head* at = BPF_CORE_READ(head, next);
  int length = 0;
  while (length < limit && at && at != head) {
    length++;
    at = BPF_CORE_READ(at, next);
  }
  return length;
}

static __always_inline const struct epitem* epitem_of_link(const struct list_head* link) {
  return (const void*)link - bpf_core_field_offset(struct epitem, rdllink);
}

/* Items on the ready list. When others drain the instance too (`shared`), a scan may splice the
 * list away under the walk, onto a head on the scanning thread's stack, from where it would not
 * find back: so look at each item whether it is one. */
static __noinline int eventpoll_depth(const struct eventpoll* ep, bool shared) {
  const struct list_head* head = &ep->rdllist;
  __u64 mark = eventpoll_scan_mark(ep);
  const struct list_head* at = BPF_CORE_READ(ep, rdllist.next);
  int depth = 0;
  if (eventpoll_is_scanned(ep)) return EVENTPOLL_DEPTH_UNSEEN;
  while (depth < EVENTPOLL_WALK_MAX && at && at != head) {
    if (shared && BPF_CORE_READ(epitem_of_link(at), ep) != ep) return EVENTPOLL_DEPTH_UNSEEN;
    depth++;
    at = BPF_CORE_READ(at, next);
  }
  if (shared && (eventpoll_is_scanned(ep) || eventpoll_scan_mark(ep) != mark))
    return EVENTPOLL_DEPTH_UNSEEN;
  return depth;
}

/* A thread is blocked in epoll_wait. */
static __always_inline bool eventpoll_has_waiter(const struct eventpoll* ep) {
  return BPF_CORE_READ(ep, wq.head.next) != &ep->wq.head;
}

#endif
