/* The rings of one process, from tp_btf alone: a request's way through io_uring.
 *
 *   io_uring_submit_req   the kernel takes an SQE                       -> submitted
 *   io_uring_complete     a CQE is posted                               -> completed
 *   sys_exit              io_uring_enter returns with CQEs in the CQ    -> returned
 *   sys_enter             the thread comes back, the head has moved     -> reaped
 *
 * Completions are posted by whoever gets there: the submitting thread, a waiting one, task work,
 * the SQPOLL thread, an io-wq worker. So the target is told by its rings, not by who runs: a ring
 * is the target's when it is open there at attach, or when a thread of the target creates, submits
 * to or enters it. Every program's first act is to dismiss what is not the target's.
 *
 * Runs from Linux 5.10 on: no task storage, no atomics that return something. */
#include "uring.h"

#include "lib/bpf.h"

#include "lib/record.h"
#include "lib/target.h"
#include "lib/uring.h"

char LICENSE[] SEC("license") = "GPL";

/* Where the kernel has not moved the tail yet when it says that a CQE is posted. */
const volatile __u8 complete_precedes_tail = 0;
/* io_uring_complete has the request's address, not just its user_data. */
const volatile __u8 complete_names_request = 1;

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

/* ---- rings ---- */

static __always_inline struct uring_ring* find_ring(__u64 ring_id) {
  __u32* index;
  if (!rings_known) return 0;
  index = bpf_map_lookup_elem(&ring_of, &ring_id);
  return index ? bpf_map_lookup_elem(&rings, index) : 0;
}

/* A ring that was not there before; what its place has of another is no longer valid. */
static __always_inline void start_ring(struct uring_ring* ring, __u64 ring_id) {
  ring->primed = 0;
  ring->generation++;
  ring->fd = -1;
  ring->home = NO_SLOT;
  ring->ring_id = ring_id;
}

/* From now on, what happens to this ring is seen. */
static __noinline struct uring_ring* know_ring(__u64 ring_id, bool created) {
  struct uring_ring* ring;
  __u32 index, *known = bpf_map_lookup_elem(&ring_of, &ring_id);
  if (known) {
    ring = bpf_map_lookup_elem(&rings, known);
    if (ring && created) start_ring(ring, ring_id); /* a reused address */
    return ring;
  }
  if (!attached) return 0;
  if (bpf_map_pop_elem(&free_rings, &index)) {
    __sync_fetch_and_add(&rings_dropped, 1);
    return 0;
  }
  ring = bpf_map_lookup_elem(&rings, &index);
  if (!ring) return 0;
  start_ring(ring, ring_id);
  if (bpf_map_update_elem(&ring_of, &ring_id, &index, BPF_NOEXIST)) {
    bpf_map_push_elem(&free_rings, &index, 0);
    return find_ring(ring_id); /* another CPU was first */
  }
  __sync_fetch_and_add(&rings_known, 1);
  return ring;
}

/* The heads and tails that the kernel and the application share. */
static __always_inline const struct io_rings* shared_rings(__u64 ring_id) {
  const struct io_ring_ctx* ctx = (const void*)ring_id;
  return BPF_CORE_READ(ctx, rings);
}

/* The first look at a ring: what is there already has not been seen coming. */
static __always_inline void prime(struct uring_ring* ring) {
  const struct io_ring_ctx* ctx = (const void*)ring->ring_id;
  if (ring->primed) return;
  ring->setup_flags = BPF_CORE_READ(ctx, flags);
  ring->sq_entries = BPF_CORE_READ(ctx, sq_entries);
  ring->cq_entries = BPF_CORE_READ(ctx, cq_entries);
  ring->sq_dropped = BPF_CORE_READ(ctx, rings, sq_dropped);
  ring->reaped = BPF_CORE_READ(ctx, rings, cq.head);
  ring->returned_tag = 0;
  ring->burst = 0;
  ring->primed = 1;
}

static __always_inline __u64 stamp_tag(const struct uring_ring* ring, __u32 position) {
  return (__u64)ring->generation << 32 | position;
}

/* When the CQE at `position` was posted; 0 when that was not seen, or is too long ago. */
static __always_inline __u64 posted_ns(const struct uring_ring* ring, __u32 position) {
  const struct uring_stamp* stamp = &ring->stamps[position & (URING_STAMPS - 1)];
  return stamp->tag == stamp_tag(ring, position) ? stamp->posted_ns : 0;
}

/* ---- users ---- */

static __noinline __u32 slot_for(struct uring_ring* ring, __u32 tid) {
  struct uring_user_key key = {};
  struct uring_user_stats* stats;
  __u32 slot, *known;
  if (!ring) return NO_SLOT;
  key.ring_id = ring->ring_id;
  key.tid = tid;
  known = bpf_map_lookup_elem(&slot_of, &key);
  if (known) return *known;
  if (bpf_map_pop_elem(&free_slots, &slot)) return NO_SLOT;
  stats = bpf_map_lookup_elem(&users, &slot);
  if (!stats || bpf_map_update_elem(&slot_of, &key, &slot, BPF_ANY)) {
    bpf_map_push_elem(&free_slots, &slot, 0);
    return NO_SLOT;
  }
  stats->ring_id = ring->ring_id;
  stats->tid = tid;
  stats->fd = ring->fd;
  stats->setup_flags = ring->setup_flags;
  stats->sq_entries = ring->sq_entries;
  stats->cq_entries = ring->cq_entries;
  stats->first_seen_ns = bpf_ktime_get_ns();
  stats->in_use = 1;
  return slot;
}

/* The statistics in `slot`, if they are still of this ring: user space may have given it away. */
static __always_inline struct uring_user_stats* stats_of(const struct uring_ring* ring,
                                                         __u32 slot) {
  struct uring_user_stats* stats = bpf_map_lookup_elem(&users, &slot);
  return stats && stats->ring_id == ring->ring_id ? stats : 0;
}

/* Where to count what concerns the ring, whichever thread it is of. */
static __always_inline struct uring_user_stats* home_stats(struct uring_ring* ring) {
  struct uring_user_stats* stats = stats_of(ring, ring->home);
  if (stats) return stats;
  ring->home = slot_for(ring, target_tgid);
  stats = stats_of(ring, ring->home);
  if (!stats) __sync_fetch_and_add(&users_dropped, 1);
  return stats;
}

/* The current thread, as a user of this ring; NULL when there is no room for it. */
static __always_inline struct thread* current_user(struct uring_ring* ring, __u32 tid) {
  struct thread *thread = bpf_map_lookup_elem(&threads, &tid), fresh = {};
  struct uring_user_stats* stats;
  __u32* index;
  if (thread && thread->ring_id == ring->ring_id) {
    stats = stats_of(ring, thread->slot);
    if (stats && stats->tid == tid) return thread;
  }
  index = bpf_map_lookup_elem(&ring_of, &ring->ring_id);
  fresh.slot = slot_for(ring, tid);
  if (!index || fresh.slot == NO_SLOT) {
    __sync_fetch_and_add(&users_dropped, 1);
    return 0;
  }
  fresh.ring_id = ring->ring_id;
  fresh.ring = *index;
  if (thread) {
    *thread = fresh;
    return thread;
  }
  bpf_map_update_elem(&threads, &tid, &fresh, BPF_ANY);
  return bpf_map_lookup_elem(&threads, &tid);
}

static __always_inline void count(struct uring_user_stats* stats, enum uring_counter which) {
  __sync_fetch_and_add(&stats->counters[which], 1);
}

/* The thread that sets up an SQPOLL ring need never enter it: take it for its user from now on. */
static __always_inline void expect_silent_user(struct uring_ring* ring, __u32 tid) {
  struct thread* thread;
  if (!(ring->setup_flags & IORING_SETUP_SQPOLL)) return;
  thread = current_user(ring, tid);
  if (thread) ring->home = thread->slot;
}

SEC("tp_btf/io_uring_create")
int BPF_PROG(on_create, int fd, void* created) {
  struct uring_ring* ring;
  if (!current_is_target()) return 0;
  ring = know_ring((__u64)created, true);
  if (!ring) return 0;
  prime(ring);
  ring->fd = fd;
  expect_silent_user(ring, (__u32)bpf_get_current_pid_tgid());
  return 0;
}

/* The rings that are open in the target: learned, and listed. */
SEC("iter/task_file")
int list_rings(struct bpf_iter__task_file* ctx) {
  struct task_struct* task = ctx->task;
  struct file* file = ctx->file; /* once: of two loads the compiler makes ctx + offset, refused */
  struct uring_list_record record = {};
  struct uring_ring* ring;
  if (!task || !file || !is_target((__u32)task->tgid)) return 0;
  record.ring_id = (__u64)ring_of_file(file);
  if (!record.ring_id) return 0;
  record.tid = (__u32)task->pid;
  record.fd = (__s32)ctx->fd;
  ring = know_ring(record.ring_id, false);
  if (ring && ring->fd < 0) ring->fd = record.fd;
  bpf_seq_write(ctx->meta->seq, &record, sizeof(record));
  return 0;
}

/* ---- submission ---- */

/* The kernel moves the SQ's head once it has taken a burst, so a head not seen before starts one.
 */
static __always_inline void look_at_sq(struct uring_ring* ring, struct uring_user_stats* stats) {
  const struct io_rings* shared = shared_rings(ring->ring_id);
  __u32 head = BPF_CORE_READ(shared, sq.head), pending, dropped;
  if (ring->setup_flags & IORING_SETUP_SQ_REWIND) return; /* neither head nor tail moves */
  if (ring->burst && ring->burst_head == head) return;
  ring->burst = 1;
  ring->burst_head = head;
  pending = BPF_CORE_READ(shared, sq.tail) - head;
  if (pending > ring->sq_entries)
    count(stats, URING_COUNTER_INVALID);
  else
    record_items(&stats->items[URING_ITEMS_SQ], pending);
  dropped = BPF_CORE_READ(shared, sq_dropped);
  stats->counters[URING_COUNTER_SQ_DROPPED] += dropped - ring->sq_dropped;
  ring->sq_dropped = dropped;
}

/* For the completions that will not name their request. */
static __always_inline void name_request(__u64 request, const struct name* name) {
  struct named named = {.request = request};
  struct named* other = bpf_map_lookup_elem(&names, name);
  if (other && other->request != request) {
    struct request* under_way = bpf_map_lookup_elem(&requests, &other->request);
    named.ambiguous = under_way && under_way->ring_id == name->ring_id;
  }
  if (bpf_map_update_elem(&names, name, &named, BPF_ANY))
    __sync_fetch_and_add(&requests_dropped, 1);
}

static __always_inline int submitted(const struct io_kiocb* kiocb, bool rejected) {
  __u64 id = bpf_get_current_pid_tgid(), ring_id, key = (__u64)kiocb;
  struct request request = {};
  struct uring_user_stats* stats;
  struct uring_ring* ring;
  struct thread* thread;
  if (!rings_known && !is_target((__u32)(id >> 32))) return 0;
  ring_id = (__u64)BPF_CORE_READ(kiocb, ctx);
  ring = find_ring(ring_id);
  if (!ring && is_target((__u32)(id >> 32))) ring = know_ring(ring_id, false);
  if (!ring) return 0;
  prime(ring);
  thread = current_user(ring, (__u32)id);
  if (!thread) return 0;
  stats = stats_of(ring, thread->slot);
  if (!stats) return 0;
  look_at_sq(ring, stats);
  stats->counters[URING_COUNTER_SUBMISSIONS]++;
  if (rejected) stats->counters[URING_COUNTER_REJECTED]++;
  request.submit_ns = bpf_ktime_get_ns();
  request.ring_id = ring_id;
  request.slot = thread->slot;
  if (!complete_names_request || may_be_multishot(BPF_CORE_READ(kiocb, opcode))) {
    struct name name = {.ring_id = ring_id, .user_data = request_user_data(kiocb)};
    request.named = 1;
    name_request(key, &name);
  }
  if (bpf_map_update_elem(&requests, &key, &request, BPF_ANY))
    __sync_fetch_and_add(&requests_dropped, 1);
  return 0;
}

SEC("tp_btf/io_uring_submit_req")
int BPF_PROG(on_submit_req, struct io_kiocb* request) {
  return submitted(request, false);
}

/* Up to 6.3. */
SEC("tp_btf/io_uring_submit_sqe")
int BPF_PROG(on_submit_sqe, struct io_kiocb* request) {
  return submitted(request, false);
}

/* Up to 5.19, the ring comes first. */
SEC("tp_btf/io_uring_submit_sqe")
int BPF_PROG(on_submit_sqe_of_ring, void* ring, struct io_kiocb* request) {
  return submitted(request, false);
}

SEC("tp_btf/io_uring_req_failed")
int BPF_PROG(on_rejected, const void* sqe, struct io_kiocb* request) {
  return submitted(request, true);
}

static __always_inline int punted(const struct io_kiocb* kiocb) {
  __u64 key = (__u64)kiocb;
  struct uring_user_stats* stats = 0;
  struct request* request;
  struct uring_ring* ring;
  if (!rings_known) return 0;
  ring = find_ring((__u64)BPF_CORE_READ(kiocb, ctx));
  if (!ring) return 0;
  prime(ring);
  request = bpf_map_lookup_elem(&requests, &key);
  if (request) stats = stats_of(ring, request->slot);
  if (!stats) stats = home_stats(ring);
  if (stats) count(stats, URING_COUNTER_PUNTS);
  return 0;
}

SEC("tp_btf/io_uring_queue_async_work")
int BPF_PROG(on_punt, struct io_kiocb* request) {
  return punted(request);
}

/* Up to 5.19, likewise. */
SEC("tp_btf/io_uring_queue_async_work")
int BPF_PROG(on_punt_of_ring, void* ring, int rw, struct io_kiocb* request) {
  return punted(request);
}

/* ---- reaping ---- */

/* Of an SQPOLL ring, the application and whoever posts may notice the same reap at once. Inserting
 * a key is what one of them alone succeeds in, on every kernel. */
static __always_inline bool claim_reap(const struct uring_ring* ring, __u32 from) {
  struct name claim = {.ring_id = ring->ring_id, .user_data = stamp_tag(ring, from)};
  __u32 unused = 0;
  if (!(ring->setup_flags & IORING_SETUP_SQPOLL)) return true;
  return !bpf_map_update_elem(&claims, &claim, &unused, BPF_NOEXIST);
}

/* The application reaps by moving the head, which nobody sees happen: it has happened since the
 * last look. `stats` are of the thread whose act makes us look. */
static __always_inline void look_at_cq(struct uring_ring* ring, struct uring_user_stats* stats,
                                       __u32 head, __u32 tail, __u64 now) {
  __u32 from = ring->reaped, moved = head - from;
  __u64 posted;
  if (!moved || !claim_reap(ring, from)) return;
  ring->reaped = head;
  if ((__s32)moved < 0 || tail - head > ring->cq_entries) {
    count(stats, URING_COUNTER_INVALID);
    ring->generation++; /* positions may come again: forget what is known of them */
    return;
  }
  record_items_shared(&stats->items[URING_ITEMS_REAPED], moved);
  posted = posted_ns(ring, from);
  if (!posted)
    count(stats, URING_COUNTER_UNTIMED_REAPS);
  else if (posted > now)
    count(stats, URING_COUNTER_INVALID);
  else
    record_ns_shared(&stats->stages[URING_STAGE_COMPLETE_TO_REAP], now - posted);
}

SEC("tp_btf/sys_enter")
int BPF_PROG(on_syscall_enter, struct pt_regs* regs, long nr) {
  struct uring_user_stats* stats;
  const struct io_rings* shared;
  struct io_ring_ctx* entered;
  struct uring_ring* ring;
  struct thread* thread;
  __u32 head, tid;
  __u64 id;
  if (!rings_known) return 0;
  id = bpf_get_current_pid_tgid();
  if (!is_target((__u32)(id >> 32))) return 0;
  tid = (__u32)id;
  if (nr == NR_io_uring_enter) {
    entered = ring_of_enter((__u32)PT_REGS_PARM1_CORE_SYSCALL(regs),
                            (__u32)PT_REGS_PARM4_CORE_SYSCALL(regs));
    if (!entered) return 0;
    ring = know_ring((__u64)entered, false);
    if (!ring) return 0;
    prime(ring);
    thread = current_user(ring, tid);
    if (!thread) return 0;
    thread->in_enter = 1;
    ring->home = thread->slot;
  } else {
    thread = bpf_map_lookup_elem(&threads, &tid);
    if (!thread) return 0;
    ring = bpf_map_lookup_elem(&rings, &thread->ring);
    if (!ring || ring->ring_id != thread->ring_id) return 0;
  }
  stats = stats_of(ring, thread->slot);
  if (!stats) return 0;
  if (nr == NR_io_uring_enter) {
    stats->counters[URING_COUNTER_ENTERS]++;
    if (stats->fd < 0) stats->fd = ring->fd; /* listed since */
  }
  shared = shared_rings(ring->ring_id);
  head = BPF_CORE_READ(shared, cq.head);
  if (head != ring->reaped)
    look_at_cq(ring, stats, head, BPF_CORE_READ(shared, cq.tail), bpf_ktime_get_ns());
  return 0;
}

SEC("tp_btf/io_uring_cqring_wait")
int BPF_PROG(on_wait, void* waited) {
  __u64 id = bpf_get_current_pid_tgid();
  struct uring_user_stats* stats;
  struct uring_ring* ring;
  struct thread* thread;
  if (!is_target((__u32)(id >> 32))) return 0;
  ring = know_ring((__u64)waited, false);
  if (!ring) return 0;
  prime(ring);
  thread = current_user(ring, (__u32)id);
  if (!thread) return 0;
  stats = stats_of(ring, thread->slot);
  if (stats) stats->counters[URING_COUNTER_WAITS]++;
  return 0;
}

SEC("tp_btf/sys_exit")
int BPF_PROG(on_syscall_exit, struct pt_regs* regs, long result) {
  struct uring_user_stats* stats;
  const struct io_rings* shared;
  struct uring_ring* ring;
  struct thread* thread;
  __u64 id, posted, tag, now;
  __u32 tid, head, listed;
  if (!rings_known) return 0;
  id = bpf_get_current_pid_tgid();
  if (!is_target((__u32)(id >> 32))) return 0;
  tid = (__u32)id;
  thread = bpf_map_lookup_elem(&threads, &tid);
  if (!thread || !thread->in_enter) return 0;
  thread->in_enter = 0;
  ring = bpf_map_lookup_elem(&rings, &thread->ring);
  if (!ring || ring->ring_id != thread->ring_id) return 0;
  stats = stats_of(ring, thread->slot);
  if (!stats) return 0;
  shared = shared_rings(ring->ring_id);
  head = BPF_CORE_READ(shared, cq.head);
  listed = BPF_CORE_READ(shared, cq.tail) - head;
  if (!listed) return 0;
  if (listed > ring->cq_entries) {
    count(stats, URING_COUNTER_INVALID);
    return 0;
  }
  record_items(&stats->items[URING_ITEMS_CQ_RETURNED], listed);
  /* What an earlier return could have been answered with is late by the application's doing. */
  tag = stamp_tag(ring, head);
  if (ring->returned_tag == tag) return 0;
  ring->returned_tag = tag;
  posted = posted_ns(ring, head);
  now = bpf_ktime_get_ns();
  if (posted && posted <= now)
    record_ns(&stats->stages[URING_STAGE_COMPLETE_TO_RETURN], now - posted);
  return 0;
}

/* ---- completion ---- */

/* The request that a CQE answers, NULL when its submission was not seen or is not certain. */
static __always_inline struct request* answered_request(__u64 kiocb, const struct name* name,
                                                        __u64* key) {
  struct request* request;
  *key = kiocb;
  if (!kiocb) {
    struct named* named = bpf_map_lookup_elem(&names, name);
    if (!named) return 0;
    if (named->ambiguous) {
      named->shots++;
      return 0;
    }
    *key = named->request;
  }
  request = bpf_map_lookup_elem(&requests, key);
  return request && request->ring_id == name->ring_id ? request : 0;
}

/* Nothing more comes of this request. True when it is not certain that nothing came before. */
static __always_inline bool forget_request(const struct request* request, const struct name* name,
                                           __u64 key) {
  struct named* named = request->named ? bpf_map_lookup_elem(&names, name) : 0;
  bool ambiguous = named && named->ambiguous;
  bool shots = ambiguous && named->shots;
  if (named && !ambiguous) bpf_map_delete_elem(&names, name);
  bpf_map_delete_elem(&requests, &key);
  return shots;
}

/* `last`: nothing more comes of this request. */
static __always_inline int completed(__u64 ring_id, __u64 kiocb, __u64 user_data, __u32 flags,
                                     bool last) {
  const struct io_ring_ctx* ctx = (const void*)ring_id;
  struct name name = {.ring_id = ring_id, .user_data = user_data};
  struct uring_user_stats* stats = 0;
  struct uring_stamp* stamp;
  struct uring_ring* ring = find_ring(ring_id);
  struct request* request;
  __u64 now, key, submit_ns = 0;
  bool further = flags & IORING_CQE_F_NOTIF;
  __u32 head, tail, listed;
  if (!ring) return 0;
  prime(ring);
  now = bpf_ktime_get_ns();
  head = BPF_CORE_READ(ctx, rings, cq.head);
  tail = BPF_CORE_READ(ctx, cached_cq_tail);
  if (complete_precedes_tail) tail++;
  listed = tail - head;

  request = answered_request(kiocb, &name, &key);
  if (request) {
    stats = stats_of(ring, request->slot);
    if (request->answered) further = true;
    submit_ns = request->submit_ns;
    request->answered = 1;
    if (last && forget_request(request, &name, key)) submit_ns = 0;
  }
  if (!stats) stats = home_stats(ring);
  if (!stats) return 0;

  if (further)
    stats->counters[URING_COUNTER_FURTHER]++;
  else if (!submit_ns)
    stats->counters[URING_COUNTER_UNTIMED]++;
  else if (submit_ns > now)
    count(stats, URING_COUNTER_INVALID);
  else
    record_ns(&stats->stages[URING_STAGE_SUBMIT_TO_COMPLETE], now - submit_ns);

  if (complete_precedes_tail && listed > ring->cq_entries) {
    stats->counters[URING_COUNTER_OVERFLOWS]++;
    return 0;
  }
  stats->counters[URING_COUNTER_COMPLETIONS]++;
  if (listed > ring->cq_entries)
    count(stats, URING_COUNTER_INVALID);
  else
    record_items(&stats->items[URING_ITEMS_CQ_POSTED], listed);
  stamp = &ring->stamps[(tail - 1) & (URING_STAMPS - 1)];
  stamp->posted_ns = now;
  stamp->tag = stamp_tag(ring, tail - 1);
  /* The application of an SQPOLL ring may never make a system call. */
  if (ring->setup_flags & IORING_SETUP_SQPOLL && head != ring->reaped) {
    struct uring_user_stats* home = home_stats(ring);
    if (home) look_at_cq(ring, home, head, tail, now);
  }
  return 0;
}

/* A CQE that is not its request's last comes without the request. Since 6.16: */
SEC("tp_btf/io_uring_complete")
int BPF_PROG(on_complete, void* ring, void* request, struct io_uring_cqe* cqe) {
  if (!rings_known) return 0;
  return completed((__u64)ring, (__u64)request, BPF_CORE_READ(cqe, user_data),
                   BPF_CORE_READ(cqe, flags), request != 0);
}

/* From 5.18 to 6.15, the CQE by value. */
SEC("tp_btf/io_uring_complete")
int BPF_PROG(on_complete_by_value, void* ring, void* request, __u64 user_data, int result,
             unsigned int flags) {
  return completed((__u64)ring, (__u64)request, user_data, flags, request != 0);
}

/* Up to 5.17, without the request. */
SEC("tp_btf/io_uring_complete")
int BPF_PROG(on_complete_by_name, void* ring, __u64 user_data, int result, unsigned int flags) {
  return completed((__u64)ring, 0, user_data, flags, !(flags & IORING_CQE_F_MORE));
}

/* Since 5.18; before it, `completed` tells. */
SEC("tp_btf/io_uring_cqe_overflow")
int BPF_PROG(on_overflow, void* full) {
  struct uring_user_stats* stats;
  struct uring_ring* ring = find_ring((__u64)full);
  if (!ring) return 0;
  prime(ring);
  stats = home_stats(ring);
  if (stats) count(stats, URING_COUNTER_OVERFLOWS);
  return 0;
}
