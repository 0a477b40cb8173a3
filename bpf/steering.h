/* Which listening socket gets the next connection: shared by the program, and by the workers that
 * tell it how busy they are. */
#ifndef EPULSE_BPF_STEERING_H
#define EPULSE_BPF_STEERING_H

#include <linux/types.h>

#define STEERING_WORKERS_MAX 256 /* a power of two */
#define STEERING_DEPTH_ONE 16    /* fixed point of depth */

/* Each field has one writer, so that none needs a lock. */
struct steering_worker {
  __u64 assigned;    /* by the program: connections that it has given to this worker */
  __u64 settled;     /* by the worker: of those, how many it has accepted, or given up */
  __u64 connections; /* by the worker: open now */
  __u32 depth;       /* by the worker: events behind the first of a turn, x busy share, in 16ths */
  __u32 active; /* by user space before it serves; the program clears it when its socket is gone */
  __u64 reserved[4]; /* a cache line each */
};

#ifdef __cplusplus
static_assert(sizeof(steering_worker) == 64);
#endif

#endif
