#pragma once

#include <malloc.h>

namespace epulse::server {

// Memory that is freed stays with the process for what is allocated next: what is free at the end
// of a thread's heap up to 64 MiB, and all that lies below something in use. By default glibc gives
// back what large messages have used as soon as they are gone, and the page faults of the next one
// cost more than what is done with it; they come at once where a buffer doubles, for which others
// wait. mallopt(3); before there are threads.
inline void keep_freed_memory() {
  constexpr int kMiB = 1024 * 1024;
  mallopt(M_MMAP_THRESHOLD, 32 * kMiB);  // as high as it may be
  mallopt(M_TRIM_THRESHOLD, 64 * kMiB);
}

}  // namespace epulse::server
