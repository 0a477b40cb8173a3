/* Gives a new connection to the worker with the least to do, among the sockets that share a port
 * (SO_REUSEPORT), instead of to the one that the kernel's hash of the addresses falls on. */
#include "steering.h"

#include "lib/bpf.h"

char LICENSE[] SEC("license") = "GPL";

struct {
  __uint(type, BPF_MAP_TYPE_REUSEPORT_SOCKARRAY);
  __uint(max_entries, STEERING_WORKERS_MAX);
  __type(key, __u32);
  __type(value, __u64);
} listeners SEC(".maps");

const volatile __u32 workers = 1; /* at most STEERING_WORKERS_MAX */
struct steering_worker loads[STEERING_WORKERS_MAX];

/* Within bounds for the verifier, which forgets them when the index has been in memory. */
static __always_inline struct steering_worker* worker_at(__u32 index) {
  return &loads[index & (STEERING_WORKERS_MAX - 1)];
}

/* Connections, those on their way included (a burst must not all go to the one that was idle when
 * it began), weighed with how deep the worker's ready queue is: a few busy ones may be more than
 * many that sleep. */
static __always_inline __u64 load_of(const struct steering_worker* worker) {
  __u64 assigned = *(volatile __u64*)&worker->assigned;
  __u64 settled = *(volatile __u64*)&worker->settled;
  __u64 pending = assigned > settled ? assigned - settled : 0;
  return (worker->connections + pending + 1) * (STEERING_DEPTH_ONE + worker->depth);
}

/* The search begins where the hash says, so that of equals each gets its share. */
static __always_inline __u32 least_loaded(__u32 hash) {
  __u32 best = STEERING_WORKERS_MAX;
  __u64 best_load = ~0ULL;
  __u32 i;
  for (i = 0; i < STEERING_WORKERS_MAX; i++) {
    __u32 index = (hash % workers + i) % workers;
    __u64 load;
    if (i >= workers) break;
    if (!worker_at(index)->active) continue;
    load = load_of(worker_at(index));
    if (load < best_load) {
      best_load = load;
      best = index;
    }
  }
  return best;
}

/* Whether the worker of the least load took it; SK_PASS alone leaves it to the kernel's hash. */
static __always_inline bool choose(struct sk_reuseport_md* md) {
  __u32 index = least_loaded(md->hash);
  if (index >= STEERING_WORKERS_MAX) return true; /* nobody is active */
  if (bpf_sk_select_reuseport(md, &listeners, &index, 0) != 0) {
    worker_at(index)->active = 0; /* closed: it is not asked again */
    return false;
  }
  __sync_fetch_and_add(&worker_at(index)->assigned, 1);
  return true;
}

SEC("sk_reuseport")
int choose_worker(struct sk_reuseport_md* md) {
  if (!choose(md)) choose(md);
  return SK_PASS;
}
