/* What process_list.bpf.c writes to its iterator: one record per process that the reader's pid
 * namespace shows. */
#ifndef EPULSE_BPF_PROCESS_LIST_H
#define EPULSE_BPF_PROCESS_LIST_H

#include <linux/types.h>

struct process_list_record {
  __u32 tgid;         /* as the kernel numbers it */
  __u32 user_tgid;    /* in the pid namespace of who reads */
  __u32 reader_level; /* how deep that one is below the first */
  __u32 reserved;
};

#ifdef __cplusplus
static_assert(sizeof(process_list_record) == 16);
#else
_Static_assert(sizeof(struct process_list_record) == 16, "no padding");
#endif

#endif
