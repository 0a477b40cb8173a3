#pragma once

#include <cstddef>

#include "server/engine/engine_options.hpp"

namespace epulse::server {

// Raises the limit of open files as far as we may; what it is then.
std::size_t raise_file_limit();

// How many connections that limit lets be. It holds for the files of the process, and for the table
// of each ring on its own.
std::size_t connections_that_fit(std::size_t file_limit, EngineKind engine, std::size_t workers);

}  // namespace epulse::server
