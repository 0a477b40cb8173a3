#pragma once

#include <vector>

#include "agent/model/epoll_stats.hpp"

namespace epulse::model {

// Workers summed. What a sum has several of is left out of its key: the instance (0) and its
// descriptor (-1), or the thread (the process stands for it). In order of first appearance.
std::vector<WorkerStats> by_thread(const std::vector<WorkerStats>& workers);
std::vector<WorkerStats> by_instance(const std::vector<WorkerStats>& workers);

}  // namespace epulse::model
