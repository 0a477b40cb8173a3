#pragma once

#include <vector>

#include "agent/kernel/facts.hpp"
#include "bpf/epoll_list.h"

namespace epulse::probes {

// Every epoll descriptor of the host, from one pass of the kernel's task_file iterator. Descriptors
// that share an instance appear once each. Throws Error where BPF is refused.
std::vector<epoll_list_record> list_epolls(const kernel::Facts& facts);

}  // namespace epulse::probes
