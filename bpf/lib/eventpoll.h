/* Reading a struct eventpoll from outside, without its lock: everything here is a snapshot that
 * tolerates a list that changes under it. */
#ifndef EPULSE_BPF_LIB_EVENTPOLL_H
#define EPULSE_BPF_LIB_EVENTPOLL_H

#include "lib/bpf.h"
#include "lib/kernel_fixes.h"
#include "lib/kernel_read.h"

/* The longest ready list that is counted; deeper ones are reported as this deep. Two branches an
 * item against the verifier's limit of 8,192 jumps in a path. */
#define EVENTPOLL_WALK_MAX 2048

/* Another thread's scan has the items. */
#define EVENTPOLL_DEPTH_UNSEEN (-1)

/* include/uapi/linux/eventpoll.h */
#define EPOLLIN 0x001
#define EPOLLPRI 0x002
#define EPOLLRDNORM 0x040
#define EPOLLRDBAND 0x080
#define EPOLLEXCLUSIVE (1U << 28)
#define EPOLLWAKEUP (1U << 29)
#define EPOLLONESHOT (1U << 30)
#define EPOLLET (1U << 31)
/* fs/eventpoll.c: EP_PRIVATE_BITS, all that is no event. A fired one-shot has nothing else. */
#define EP_PRIVATE_BITS (EPOLLWAKEUP | EPOLLONESHOT | EPOLLET | EPOLLEXCLUSIVE)

/* Address from /proc/kallsyms, set before load: file_operations.poll of every epoll file and of
 * nothing else. */
const volatile __u64 ep_eventpoll_poll_address = 0;

/* The instance behind an epoll file, NULL for any other file. */
static __always_inline struct eventpoll* eventpoll_of_file(const struct file* file) {
  const struct file_operations* operations;
  if (!file) return 0;
  operations = KERNEL_READ(struct file, file, f_op);
  if ((__u64)KERNEL_READ(struct file_operations, operations, poll) != ep_eventpoll_poll_address)
    return 0;
  return KERNEL_READ(struct file, file, private_data);
}

/* A scan is under way: the ready list is spliced to a list on the scanning thread's stack. */
static __always_inline bool eventpoll_is_scanned(const struct eventpoll* ep) {
  return KERNEL_READ(struct eventpoll, ep, ovflist) != EP_UNACTIVE_PTR;
}

/* The ready list's head, by address. */
static __always_inline __u64 eventpoll_ready_head(const struct eventpoll* ep) {
  return (__u64)ep + bpf_core_field_offset(struct eventpoll, rdllist);
}

static __always_inline __u64 eventpoll_first_link(const struct eventpoll* ep) {
  return (__u64)KERNEL_READ(struct eventpoll, ep, rdllist.next);
}

static __always_inline bool eventpoll_is_idle(const struct eventpoll* ep) {
  return eventpoll_first_link(ep) == eventpoll_ready_head(ep) && !eventpoll_is_scanned(ep);
}

static __always_inline __u64 next_link(__u64 link) {
  return (__u64)KERNEL_READ(struct list_head, link, next);
}

static __noinline int list_length(__u64 head) {
  __u64 at = next_link(head);
  int length = 0;
  while (length < EVENTPOLL_WALK_MAX && at && at != head) {
    length++;
    at = next_link(at);
  }
  return length;
}

static __always_inline const struct epitem* epitem_of_link(__u64 link) {
  return (const void*)link - bpf_core_field_offset(struct epitem, rdllink);
}

/* Items on the ready list. When others drain the instance too (`shared`), a scan may splice the
 * list away under the walk, onto a head on the scanning thread's stack, from where it would not
 * find back: so look at each item whether it is one. */
static __noinline int eventpoll_depth(const struct eventpoll* ep, bool shared) {
  __u64 head = eventpoll_ready_head(ep);
  __u32 scan = shared ? eventpoll_scan_number(ep) : 0;
  __u64 at = eventpoll_first_link(ep);
  int depth = 0;
  if (eventpoll_is_scanned(ep)) return EVENTPOLL_DEPTH_UNSEEN;
  while (depth < EVENTPOLL_WALK_MAX && at && at != head) {
    if (shared && KERNEL_READ(struct epitem, epitem_of_link(at), ep) != ep)
      return EVENTPOLL_DEPTH_UNSEEN;
    depth++;
    at = next_link(at);
  }
  if (shared && (eventpoll_is_scanned(ep) || eventpoll_scan_number(ep) != scan))
    return EVENTPOLL_DEPTH_UNSEEN;
  return depth;
}

/* Threads blocked in epoll_wait. */
static __always_inline int eventpoll_waiters(const struct eventpoll* ep) {
  return list_length((__u64)ep + bpf_core_field_offset(struct eventpoll, wq.head));
}

static __always_inline bool eventpoll_has_waiter(const struct eventpoll* ep) {
  return (__u64)KERNEL_READ(struct eventpoll, ep, wq.head.next) !=
         (__u64)ep + bpf_core_field_offset(struct eventpoll, wq.head);
}

/* On the ready list, or on the overflow list of the scan under way. */
static __always_inline bool epitem_is_queued(const struct epitem* epi) {
  __u64 link = (__u64)epi + bpf_core_field_offset(struct epitem, rdllink);
  return next_link(link) != link || epitem_overflow_next(epi) != EP_UNACTIVE_PTR;
}

#endif
