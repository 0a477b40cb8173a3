/* The target's sockets: how full their queues are, and what was lost or refused for it.
 *
 *   list_sockets       walks the target's descriptors when user space asks, and learns its sockets
 *   on_*               count an event if the socket has been learned
 *
 * A packet is queued in softirq, where the current task is anybody: only the socket tells whose it
 * is. So what happens to a socket before the first walk that meets it is not attributable. */
#include "sockets.h"

#include "lib/bpf.h"

#include "lib/socket.h"
#include "lib/target.h"

char LICENSE[] SEC("license") = "GPL";

#define ENOMEM 12

struct socket_counts {
  __u64 inode; /* tells a socket from one that has its address after it */
  __u64 events[SOCKET_EVENTS];
};

/* By struct sock address. User space takes out what it no longer finds. Sized before load. */
struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(max_entries, 1);
  __type(key, __u64);
  __type(value, struct socket_counts);
} known_sockets SEC(".maps");

__u64 known_events[SOCKET_EVENTS];        /* of the target */
__u64 unattributed_events[SOCKET_EVENTS]; /* of all other sockets of the host */

static __always_inline struct socket_counts* learn(__u64 socket_id, __u64 inode) {
  struct socket_counts* counts = bpf_map_lookup_elem(&known_sockets, &socket_id);
  struct socket_counts zeros = {.inode = inode};
  if (counts && counts->inode == inode) return counts;
  bpf_map_update_elem(&known_sockets, &socket_id, &zeros, BPF_ANY);
  return bpf_map_lookup_elem(&known_sockets, &socket_id);
}

static __always_inline void read_endpoints(struct socket_record* record, const struct sock* sk) {
  record->local_port = KERNEL_READ(struct sock, sk, __sk_common.skc_num);
  record->remote_port = __builtin_bswap16(KERNEL_READ(struct sock, sk, __sk_common.skc_dport));
  if (record->family == AF_INET) {
    BPF_CORE_READ_INTO((__u32*)record->local_address, sk, __sk_common.skc_rcv_saddr);
    BPF_CORE_READ_INTO((__u32*)record->remote_address, sk, __sk_common.skc_daddr);
  } else {
    BPF_CORE_READ_INTO(&record->local_address, sk, __sk_common.skc_v6_rcv_saddr);
    BPF_CORE_READ_INTO(&record->remote_address, sk, __sk_common.skc_v6_daddr);
  }
}

static __always_inline void read_queues(struct socket_record* record, const struct sock* sk) {
  record->drops = sock_drops(sk);
  record->receive_bytes = (__u32)KERNEL_READ(struct sock, sk, sk_backlog.rmem_alloc.counter);
  record->rcvbuf_bytes = (__u32)KERNEL_READ(struct sock, sk, sk_rcvbuf);
  record->sndbuf_bytes = (__u32)KERNEL_READ(struct sock, sk, sk_sndbuf);
  if (sock_is_tcp(sk)) {
    record->unread_bytes = tcp_unread(sk);
    record->unacked_bytes = tcp_unacked(sk);
    record->send_bytes = (__u32)KERNEL_READ(struct sock, sk, sk_wmem_queued);
  } else {
    record->send_bytes = sock_wmem_alloc(sk);
  }
}

/* A thread that shares its leader's descriptors has none of its own to show; kernels up to 6.0 walk
 * all tasks of the host whatever is asked. */
SEC("iter/task_file")
int list_sockets(struct bpf_iter__task_file* ctx) {
  struct task_struct* task = ctx->task;
  struct file* file = ctx->file;
  struct socket_record record = {};
  struct socket_counts* counts;
  struct sock* sk;
  if (!task || !file || !is_target((__u32)task->tgid) || task->pid != task->tgid) return 0;
  sk = sock_of_file(file);
  if (!sk) return 0;
  record.socket_id = (__u64)sk;
  record.inode = inode_of_file(file);
  record.fd = (__s32)ctx->fd;
  record.family = KERNEL_READ(struct sock, sk, __sk_common.skc_family);
  record.type = KERNEL_READ(struct sock, sk, sk_type);
  record.protocol = KERNEL_READ(struct sock, sk, sk_protocol);
  record.state = KERNEL_READ(struct sock, sk, __sk_common.skc_state);
  read_queues(&record, sk);
  if (sock_is_inet(sk)) read_endpoints(&record, sk);
  counts = learn(record.socket_id, record.inode);
  if (counts) {
    record.known = 1;
    record.queue_full = counts->events[SOCKET_EVENT_QUEUE_FULL];
    record.limit_hits = counts->events[SOCKET_EVENT_LIMIT_HIT];
  }
  bpf_seq_write(ctx->meta->seq, &record, sizeof(record));
  return 0;
}

/* Several CPUs may be here for one socket. */
static __always_inline void count(const struct sock* sk, enum socket_event event) {
  __u64 socket_id = (__u64)sk;
  struct socket_counts* counts = bpf_map_lookup_elem(&known_sockets, &socket_id);
  if (!counts) {
    __sync_fetch_and_add(&unattributed_events[event], 1);
    return;
  }
  __sync_fetch_and_add(&counts->events[event], 1);
  __sync_fetch_and_add(&known_events[event], 1);
}

/* sock_queue_rcv_skb(): raw, ICMP, CAN and others, but neither UDP nor TCP. */
SEC("tp_btf/sock_rcvqueue_full")
int BPF_PROG(on_queue_full, const struct sock* sk) {
  count(sk, SOCKET_EVENT_QUEUE_FULL);
  return 0;
}

/* UDP queues by itself. -ENOMEM is for a full queue, anything else for memory at large. */
SEC("tp_btf/udp_fail_queue_rcv_skb")
int BPF_PROG(on_udp_refused, int error, const struct sock* sk) {
  if (error == -ENOMEM) count(sk, SOCKET_EVENT_QUEUE_FULL);
  return 0;
}

/* __sk_mem_raise_allocated(): the protocol's or the control group's memory is used up. */
SEC("tp_btf/sock_exceed_buf_limit")
int BPF_PROG(on_limit_hit, const struct sock* sk) {
  count(sk, SOCKET_EVENT_LIMIT_HIT);
  return 0;
}
