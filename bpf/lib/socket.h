/* Reading a struct sock from outside, without its lock: each field is true at its own instant. */
#ifndef EPULSE_BPF_LIB_SOCKET_H
#define EPULSE_BPF_LIB_SOCKET_H

#include "lib/bpf.h"
#include "lib/kernel_fixes.h"
#include "lib/kernel_read.h"

/* Of the C library's headers, which do not compile here. */
#define AF_INET 2
#define AF_INET6 10
#define SOCK_STREAM 1
#define IPPROTO_TCP 6

/* include/net/tcp_states.h */
#define TCP_CLOSE_WAIT 8
#define TCP_LAST_ACK 9
#define TCP_LISTEN 10
#define TCP_CLOSING 11

/* Address from /proc/kallsyms, set before load: file_operations.poll of every socket file and of
 * nothing else (socket_file_ops, net/socket.c). */
const volatile __u64 sock_poll_address = 0;

/* The socket behind a file, NULL for a file of another kind. */
static __always_inline struct sock* sock_of_file(const struct file* file) {
  const struct file_operations* operations = KERNEL_READ(struct file, file, f_op);
  struct socket* socket;
  if ((__u64)KERNEL_READ(struct file_operations, operations, poll) != sock_poll_address) return 0;
  socket = KERNEL_READ(struct file, file, private_data);
  return KERNEL_READ(struct socket, socket, sk);
}

/* N of "socket:[N]", as /proc/PID/fd shows it. */
static __always_inline __u64 inode_of_file(const struct file* file) {
  const struct inode* inode = KERNEL_READ(struct file, file, f_inode);
  return KERNEL_READ(struct inode, inode, i_ino);
}

static __always_inline bool sock_is_inet(const struct sock* sk) {
  __u16 family = KERNEL_READ(struct sock, sk, __sk_common.skc_family);
  return family == AF_INET || family == AF_INET6;
}

/* Has the fields of struct tcp_sock. */
static __always_inline bool sock_is_tcp(const struct sock* sk) {
  return sock_is_inet(sk) && KERNEL_READ(struct sock, sk, sk_type) == SOCK_STREAM &&
         KERNEL_READ(struct sock, sk, sk_protocol) == IPPROTO_TCP;
}

/* sk_wmem_alloc counts one for the socket itself: sk_wmem_alloc_get(), include/net/sock.h. */
static __always_inline __u32 sock_wmem_alloc(const struct sock* sk) {
  return (__u32)KERNEL_READ(struct sock, sk, sk_wmem_alloc.refs.counter) - 1;
}

/* As tcp_inq(), include/net/tcp.h: the peer's FIN has a sequence number, too, and is no byte. */
static __always_inline __u32 tcp_unread(const struct sock* sk) {
  __u8 state = KERNEL_READ(struct sock, sk, __sk_common.skc_state);
  __u32 unread =
      KERNEL_READ(struct tcp_sock, sk, rcv_nxt) - KERNEL_READ(struct tcp_sock, sk, copied_seq);
  if (state == TCP_LISTEN) return 0;
  if (unread && (state == TCP_CLOSE_WAIT || state == TCP_LAST_ACK || state == TCP_CLOSING))
    unread--;
  return unread;
}

/* As tcp_ioctl(SIOCOUTQ), net/ipv4/tcp.c. */
static __always_inline __u32 tcp_unacked(const struct sock* sk) {
  if (KERNEL_READ(struct sock, sk, __sk_common.skc_state) == TCP_LISTEN) return 0;
  return KERNEL_READ(struct tcp_sock, sk, write_seq) - KERNEL_READ(struct tcp_sock, sk, snd_una);
}

#endif
