#pragma once

#include <string>

#include "agent/model/epoll_stats.hpp"

namespace epulse::model {

// Where the time of one worker went: kernel, scheduler or application, with the figure that says
// so. One line; "idle" when nothing was delivered.
std::string verdict(const WorkerStats& worker);

}  // namespace epulse::model
