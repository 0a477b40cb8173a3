#pragma once

#include "server/engine/engine_options.hpp"
#include "tools/load/options.hpp"

namespace epulse::load {

// What each thread makes its engine by.
server::EngineOptions engine_options(const Options& options);

// Throws Error when this host does not let us have the engine that was asked for: another one would
// be another load.
void check_engine(const Options& options);

}  // namespace epulse::load
