#pragma once

#include <cstdint>

namespace epulse::server {

// How often the calling thread has called operator new. A program that uses this has operator new
// and delete replaced by ones that count and otherwise do what malloc() and free() do.
std::uint64_t allocations_of_this_thread();

}  // namespace epulse::server
