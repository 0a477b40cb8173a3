/* Whose events are measured. */
#ifndef EPULSE_BPF_LIB_TARGET_H
#define EPULSE_BPF_LIB_TARGET_H

#include "lib/bpf.h"

/* Process id as the kernel numbers it, set before load. */
const volatile __u32 target_tgid = 0;

static __always_inline bool is_target(__u32 tgid) {
  return tgid == target_tgid;
}

static __always_inline bool current_is_target(void) {
  return is_target((__u32)(bpf_get_current_pid_tgid() >> 32));
}

#endif
