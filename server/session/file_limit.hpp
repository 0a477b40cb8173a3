#pragma once

#include <cstddef>

#include "server/engine/engine_options.hpp"

namespace epulse::server {

// Raises the limit of open files as far as we may; what it is then.
std::size_t raise_file_limit();

// Makes the process's table of descriptors as large as it may become. It would double whenever it
// is full, and the kernel waits some 10 ms each time when there are several threads: while they
// accept.
void grow_file_table(std::size_t file_limit);

// How many connections that limit lets be. It holds for the files of the process, and for the table
// of each ring on its own.
std::size_t connections_that_fit(std::size_t file_limit, EngineKind engine, std::size_t workers);

}  // namespace epulse::server
