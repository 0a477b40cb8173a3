/* What the io_uring probe keeps in the kernel, and how it is set up before load. */
#ifndef EPULSE_BPF_URING_STATE_H
#define EPULSE_BPF_URING_STATE_H

#include "lib/bpf.h"
#include "uring.h"

/* Where the kernel has not moved the tail yet when it says that a CQE is posted. */
const volatile __u8 complete_precedes_tail = 0;
/* io_uring_complete has the request's address, not just its user_data. */
const volatile __u8 complete_names_request = 1;
/* Each system call is told to two programs (syscalls.h). */
const volatile __u8 syscalls_twice = 0;

#define NO_SLOT (~0U)

/* A request under way, from the submission on. */
struct request {
  __u64 submit_ns;
  __u64 ring_id;
  __u32 slot;     /* of the thread that submitted it */
  __u16 answered; /* its first CQE has been posted */
  __u16 named;    /* there is a name for it */
};

/* CQEs that do not say which request they are of are told by what they do say. */
struct name {
  __u64 ring_id;
  __u64 user_data;
};

struct named {
  __u64 request;
  __u32 ambiguous; /* two at once under one name */
  __u32 shots;     /* completions that may be of either */
};

/* The ring that a thread of the target entered last. */
struct thread {
  __u64 ring_id;
  __u32 ring; /* index of `rings` */
  __u32 slot;
  __u32 in_enter;
  __u32 reserved;
};

struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(max_entries, 64);
  __type(key, __u64);
  __type(value, __u32);
} ring_of SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, 64);
  __type(key, __u32);
  __type(value, struct uring_ring);
} rings SEC(".maps");

/* Indices of `rings` that nobody uses; user space fills it, and gives back those of closed rings.
 */
struct {
  __uint(type, BPF_MAP_TYPE_STACK);
  __uint(max_entries, 64);
  __uint(value_size, sizeof(__u32));
} free_rings SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_LRU_HASH);
  __uint(max_entries, 65536);
  __type(key, __u64); /* address of the io_kiocb */
  __type(value, struct request);
} requests SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_LRU_HASH);
  __uint(max_entries, 65536);
  __type(key, struct name);
  __type(value, struct named);
} names SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_LRU_HASH);
  __uint(max_entries, 8192);
  __type(key, __u32);
  __type(value, struct thread);
} threads SEC(".maps");

/* Reaps of SQPOLL rings that have been counted: by ring, and tag of the oldest CQE. */
struct {
  __uint(type, BPF_MAP_TYPE_LRU_HASH);
  __uint(max_entries, 4096);
  __type(key, struct name);
  __type(value, __u32);
} claims SEC(".maps");

/* Where a (ring, thread) pair has its statistics. */
struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(max_entries, 256);
  __type(key, struct uring_user_key);
  __type(value, __u32);
} slot_of SEC(".maps");

/* User space maps this one and reads it without a system call. */
struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(map_flags, BPF_F_MMAPABLE);
  __uint(max_entries, 256);
  __type(key, __u32);
  __type(value, struct uring_user_stats);
} users SEC(".maps");

/* Indices of `users` that nobody uses. */
struct {
  __uint(type, BPF_MAP_TYPE_STACK);
  __uint(max_entries, 256);
  __uint(value_size, sizeof(__u32));
} free_slots SEC(".maps");

/* Every program is there: a ring learned before would show submissions without completions. */
__u32 attached = 0;

__u64 rings_known = 0;      /* 0: nothing here concerns the target */
__u64 rings_dropped = 0;    /* events of rings that found no room */
__u64 users_dropped = 0;    /* events of threads that found no slot */
__u64 requests_dropped = 0; /* submissions that found no room: their completions are untimed */

#endif
