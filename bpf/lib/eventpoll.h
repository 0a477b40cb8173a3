/* Reading a struct eventpoll from outside, without its lock: everything here is a snapshot that
 * tolerates a list that changes under it. */
#ifndef EPULSE_BPF_LIB_EVENTPOLL_H
#define EPULSE_BPF_LIB_EVENTPOLL_H

#include "lib/bpf.h"
#include "lib/kernel_fixes.h"

/* The longest ready list that is counted. Deeper ones are reported as this deep, or as unseen. */
#define EVENTPOLL_WALK_MAX 4096

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

/* Items on the ready list, EVENTPOLL_DEPTH_UNSEEN when another thread's scan has them. A walk that
 * a scan started under could not find its way back to the head, hence the second look. */
static __always_inline int eventpoll_depth(const struct eventpoll* ep) {
  int depth;
  if (eventpoll_is_scanned(ep)) return EVENTPOLL_DEPTH_UNSEEN;
  depth = list_length(&ep->rdllist, EVENTPOLL_WALK_MAX);
  if (eventpoll_is_scanned(ep)) return EVENTPOLL_DEPTH_UNSEEN;
  return depth;
}

#endif
