/* What sockets.bpf.c writes to its iterator: one record per socket descriptor of the target. */
#ifndef EPULSE_BPF_SOCKETS_H
#define EPULSE_BPF_SOCKETS_H

#include <linux/types.h>

struct socket_record {
  __u64 socket_id;        /* the struct sock's address: the same for all descriptors of a socket */
  __u64 inode;            /* with socket_id, its identity: N of "socket:[N]" in /proc/PID/fd */
  __u64 queue_full;       /* packets that found the receive queue full, since the probe knows it */
  __u64 limit_hits;       /* refusals of more buffer memory, the same */
  __s32 fd;               /* the target's number */
  __u32 drops;            /* sk_drops; since the socket exists, and wraps */
  __u32 receive_bytes;    /* memory charged to the receive queue: sk_rmem_alloc */
  __u32 rcvbuf_bytes;     /* sk_rcvbuf, twice what setsockopt(2) was given */
  __u32 unread_bytes;     /* TCP: what the application has not read, SIOCINQ */
  __u32 send_bytes;       /* memory charged to the send queue */
  __u32 sndbuf_bytes;     /* sk_sndbuf */
  __u32 unacked_bytes;    /* TCP: what the peer has not acknowledged, SIOCOUTQ */
  __u16 family;           /* AF_INET and so on */
  __u16 type;             /* SOCK_STREAM and so on */
  __u16 protocol;         /* IPPROTO_TCP and so on */
  __u16 state;            /* TCP_LISTEN and so on; TCP_CLOSE where there are no connections */
  __u16 local_port;       /* ports and addresses: AF_INET and AF_INET6 alone */
  __u16 remote_port;      /* both as the host orders bytes */
  __u32 known;            /* 0: no room to count its events */
  __u8 local_address[16]; /* the first four for AF_INET; as the network orders bytes */
  __u8 remote_address[16];
};

/* Events of the host's sockets. */
enum socket_event {
  SOCKET_EVENT_QUEUE_FULL,
  SOCKET_EVENT_LIMIT_HIT,
  SOCKET_EVENTS,
};

#ifdef __cplusplus
static_assert(sizeof(socket_record) == 112);
#else
_Static_assert(sizeof(struct socket_record) == 112, "no padding");
#endif

#endif
