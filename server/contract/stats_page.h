/* The contract between epulse-ws and whoever watches it: one shared-memory page per worker.
 *
 * epulse-ws creates the POSIX shared-memory object "/epulse-ws.PID" (mode 0644) at start and
 * unlinks it at exit. Each worker is the only writer of its page; counters only grow. A reader maps
 * the object read-only, checks magic, version and pid, and loads each field with relaxed atomic
 * loads. */
#ifndef EPULSE_SERVER_CONTRACT_STATS_PAGE_H
#define EPULSE_SERVER_CONTRACT_STATS_PAGE_H

#include <linux/types.h>

#define EPULSE_STATS_NAME_FORMAT "/epulse-ws.%d"
#define EPULSE_STATS_MAGIC 0x53574c5055504521ULL
#define EPULSE_STATS_VERSION 3
#define EPULSE_STATS_PAGE_BYTES 4096
#define EPULSE_STATS_HANDSHAKE_BUCKETS 16

struct epulse_stats_header {
  __u64 magic;
  __u32 version;
  __u32 pid;
  __u32 workers; /* pages that follow this one */
  __u32 page_bytes;
};

struct epulse_stats_worker {
  __u32 tid;
  __s32 cpu;         /* pinned to, -1 when not pinned */
  __u64 connections; /* open now */
  __u64 accepted;    /* handshakes completed */
  __u64 refused;     /* handshakes refused */
  __u64 loop_turns;  /* returns of epoll_wait or io_uring_enter */
  __u64 events;      /* events or completions delivered by them */
  __u64 batch_max;   /* largest batch so far */
  __u64 saturated;   /* batches that filled the event array, or overflowed the completion queue */
  __u64 handler_ns;  /* time between such a return and the next call */
  __u64 messages_in;
  __u64 messages_out;
  __u64 bytes_in; /* from the sockets */
  __u64 bytes_out;
  __u64 protocol_errors; /* connections closed for a breach of RFC 6455 */
  __u64 slow_closed;     /* connections closed because their backlog passed the cap */
  __u64 published;       /* topic messages taken from clients of this worker */
  __u64 delivered;       /* topic messages queued to clients of this worker */
  __u64 allocations;     /* calls of operator new by the worker's thread */
  __u64 handshake_ns;    /* sum over all accepted, from accept to the answer */
  __u64
      handshake_buckets[EPULSE_STATS_HANDSHAKE_BUCKETS]; /* handshake_buckets.hpp has the bounds */
  __u64 slow_skipped;     /* topic messages not queued to a client whose backlog was past the cap */
  __u64 gathering_closed; /* with 1013: --gathering-cap, or other workers are behind */
  __u64 zero_copy_sends;  /* sends without a copy: --zerocopy-from */
  __u64 zero_copy_copied; /* of them, those that the kernel copied after all */
  __u64 zero_copy_held_bytes; /* of them, what the kernel has not done with now */
};

#ifdef __cplusplus
static_assert(sizeof(epulse_stats_header) <= EPULSE_STATS_PAGE_BYTES);
static_assert(sizeof(epulse_stats_worker) <= EPULSE_STATS_PAGE_BYTES);
#endif

#endif
