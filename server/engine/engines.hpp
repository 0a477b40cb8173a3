#pragma once

#include <memory>
#include <string>

#include "server/engine/engine_options.hpp"
#include "server/engine/epoll_engine.hpp"
#include "server/engine/uring/uring_engine.hpp"

// The engines there are, to choose from when the program starts.
namespace epulse::server {

// Throws Error. To be called by the thread that will run it.
std::unique_ptr<SocketEngine> make_engine(const EngineOptions& options, Handler& handler,
                                          epulse_stats_worker& stats);

// Why an engine of these options cannot be made on this host; "" when it can.
std::string why_unavailable(const EngineOptions& options);

}  // namespace epulse::server
