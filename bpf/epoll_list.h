/* What epoll_list.bpf.c writes to its iterator: one record per epoll descriptor of the host. */
#ifndef EPULSE_BPF_EPOLL_LIST_H
#define EPULSE_BPF_EPOLL_LIST_H

#include <linux/types.h>

struct epoll_list_record {
  __u64 epoll_id;
  __u32 tgid; /* as the kernel numbers it */
  __u32 tid;
  __s32 epfd;
  __s32 depth;     /* items on the ready list; -1 while a scan has them */
  __u32 waiters;   /* threads blocked in epoll_wait */
  __u32 user_tgid; /* in the pid namespace of who reads */
  char comm[16];   /* of the process */
};

#ifdef __cplusplus
static_assert(sizeof(epoll_list_record) == 48);
#else
_Static_assert(sizeof(struct epoll_list_record) == 48, "no padding");
#endif

#endif
