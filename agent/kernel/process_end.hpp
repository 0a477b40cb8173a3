#pragma once

#include <sys/types.h>

namespace epulse::kernel {

// No thread of the process will run its program again: it was killed, or has called exit(), and its
// threads go one after the other. True, too, when it is gone.
bool is_ending(pid_t pid);

}  // namespace epulse::kernel
