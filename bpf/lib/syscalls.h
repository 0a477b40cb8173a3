/* System-call numbers of the epoll family, and where the kernel keeps that of a system call. */
#ifndef EPULSE_BPF_LIB_SYSCALLS_H
#define EPULSE_BPF_LIB_SYSCALLS_H

#include <stdbool.h>

#include "lib/kernel_types.h"

#if defined(__TARGET_ARCH_x86)
#define NR_epoll_create 213
#define NR_epoll_wait 232
#define NR_epoll_pwait 281
#define NR_epoll_create1 291
#define NR_epoll_pwait2 441
static inline bool is_epoll_wait(long nr) {
  return nr == NR_epoll_wait || nr == NR_epoll_pwait || nr == NR_epoll_pwait2;
}
static inline bool is_epoll_create(long nr) {
  return nr == NR_epoll_create1 || nr == NR_epoll_create;
}
static inline long syscall_number(const struct pt_regs* regs) {
  return (long)regs->orig_ax;
}
#elif defined(__TARGET_ARCH_arm64)
#define NR_epoll_create1 20
#define NR_epoll_pwait 22
#define NR_epoll_pwait2 441
static inline bool is_epoll_wait(long nr) {
  return nr == NR_epoll_pwait || nr == NR_epoll_pwait2;
}
static inline bool is_epoll_create(long nr) {
  return nr == NR_epoll_create1;
}
static inline long syscall_number(const struct pt_regs* regs) {
  return regs->syscallno;
}
#endif

#endif
