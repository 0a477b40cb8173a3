/* The kernel's types, then libbpf's headers, which want them first. */
#ifndef EPULSE_BPF_LIB_BPF_H
#define EPULSE_BPF_LIB_BPF_H

/* clang-format off */
#include "lib/kernel_types.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>
/* clang-format on */

#endif
