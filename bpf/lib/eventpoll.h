/* Reading a struct eventpoll from outside, without its lock: everything here is a snapshot that
 * tolerates a list that changes under it. */
#ifndef EPULSE_BPF_LIB_EVENTPOLL_H
#define EPULSE_BPF_LIB_EVENTPOLL_H

#include "lib/bpf.h"
#include "lib/kernel_fixes.h"
#include "lib/kernel_read.h"

/* The longest ready list that is counted; deeper ones are reported as this deep. */
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
  return (void*)read_address((__u64)file + bpf_core_field_offset(struct file, private_data));
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
  return read_address((__u64)ep + bpf_core_field_offset(struct eventpoll, rdllist.next));
}

static __always_inline bool eventpoll_is_idle(const struct eventpoll* ep) {
  return eventpoll_first_link(ep) == eventpoll_ready_head(ep) && !eventpoll_is_scanned(ep);
}

static __always_inline __u64 next_link(__u64 link) {
  return read_address(link + bpf_core_field_offset(struct list_head, next));
}

static __always_inline const struct epitem* epitem_of_link(__u64 link) {
  return (const void*)link - bpf_core_field_offset(struct epitem, rdllink);
}

/* Lists are walked in two steps, each a loop in a global function: those the verifier looks at
 * once, with any arguments, so that it sees some hundred links go by and not thousands. `owner`:
 * the links are those of this instance's items, and one that is not is astray; 0: any links. */
#define WALK_STEP 64

static __always_inline bool is_astray(__u64 link, __u64 owner) {
  return owner && (__u64)KERNEL_READ(struct epitem, epitem_of_link(link), ep) != owner;
}

/* How many links there are from `at` to `head`, WALK_STEP at most. */
__noinline int links_until(__u64 at, __u64 head, __u64 owner) {
  int count = 0;
  while (count < WALK_STEP && at && at != head) {
    if (is_astray(at, owner)) return EVENTPOLL_DEPTH_UNSEEN;
    count++;
    at = next_link(at);
  }
  return count;
}

/* The link WALK_STEP after `at`; 0 when the list ends before, or leads astray. */
__noinline __u64 link_ahead(__u64 at, __u64 head, __u64 owner) {
  for (int i = 0; i < WALK_STEP; i++) {
    if (is_astray(at, owner)) return 0;
    at = next_link(at);
    if (!at || at == head) return 0;
  }
  return at;
}

/* EVENTPOLL_DEPTH_UNSEEN when it leads astray. */
static __always_inline int walk_list(__u64 first, __u64 head, __u64 owner) {
  int count = links_until(first, head, owner);
  int steps;
  __u64 at;
  if (count < WALK_STEP) return count;
  for (steps = 0; steps < EVENTPOLL_WALK_MAX / WALK_STEP - 1; steps++) {
    at = link_ahead(first, head, owner);
    if (!at) break;
    first = at;
  }
  count = links_until(first, head, owner);
  return count < 0 ? count : steps * WALK_STEP + count;
}

__noinline int list_length(__u64 head) {
  return walk_list(next_link(head), head, 0);
}

/* Items on the ready list. When others drain the instance too (`shared`), a scan may splice the
 * list away under the walk, onto a head on the scanning thread's stack, from where it would not
 * find back: so look at each item whether it is one. */
__noinline int eventpoll_depth(__u64 epoll_id, bool shared) {
  const struct eventpoll* ep = (const void*)epoll_id;
  __u32 scan = shared ? eventpoll_scan_number(ep) : 0;
  __u64 first = eventpoll_first_link(ep);
  int depth;
  if (eventpoll_is_scanned(ep)) return EVENTPOLL_DEPTH_UNSEEN;
  depth = walk_list(first, eventpoll_ready_head(ep), shared ? epoll_id : 0);
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
