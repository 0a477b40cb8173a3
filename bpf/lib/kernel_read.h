/* Reading kernel memory that no verifier type leads to. Where the kernel has bpf_rdonly_cast (6.2)
 * a read is one load instruction that yields 0 on a fault; elsewhere it is a helper call, some ten
 * times dearer. */
#ifndef EPULSE_BPF_LIB_KERNEL_READ_H
#define EPULSE_BPF_LIB_KERNEL_READ_H

#include "lib/bpf.h"

/* Set before load: the kernel has bpf_rdonly_cast. */
const volatile __u8 fast_reads = 0;

extern void* bpf_rdonly_cast(const void* object, __u32 btf_id) __ksym __weak;

#define KERNEL_CAST(type, address) \
  ((type*)bpf_rdonly_cast((const void*)(address), bpf_core_type_id_kernel(type)))

/* The value of a field of the `type` at `address`; `field` may be nested (event.events). */
#define KERNEL_READ(type, address, field) \
  (fast_reads ? KERNEL_CAST(type, address)->field : BPF_CORE_READ((type*)(address), field))

/* The address that lies at `address`, for the verifier a number and no pointer, so that it may be
 * given to a global function. Any structure that begins with such a number would do. */
static __always_inline __u64 read_address(__u64 address) {
  __u64 value = 0;
  if (fast_reads) return (__u64)KERNEL_CAST(struct timespec64, address)->tv_sec;
  bpf_probe_read_kernel(&value, sizeof(value), (const void*)address);
  return value;
}

#endif
