/* Numbers of the epoll_wait family. */
#ifndef EPULSE_BPF_LIB_SYSCALLS_H
#define EPULSE_BPF_LIB_SYSCALLS_H

#include <stdbool.h>

#if defined(__TARGET_ARCH_x86)
#define NR_epoll_wait 232
#define NR_epoll_pwait 281
#define NR_epoll_pwait2 441
static inline bool is_epoll_wait(long nr) {
  return nr == NR_epoll_wait || nr == NR_epoll_pwait || nr == NR_epoll_pwait2;
}
#elif defined(__TARGET_ARCH_arm64)
#define NR_epoll_pwait 22
#define NR_epoll_pwait2 441
static inline bool is_epoll_wait(long nr) { return nr == NR_epoll_pwait || nr == NR_epoll_pwait2; }
#endif

#endif
