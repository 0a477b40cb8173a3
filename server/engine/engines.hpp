#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "server/engine/epoll_engine.hpp"
#include "server/engine/uring/uring_engine.hpp"

// The engines there are, to choose from when the program starts.
namespace epulse::server {

enum class EngineKind : std::uint8_t { kEpoll, kUring };

const char* engine_name(EngineKind kind);

struct EngineOptions {
  EngineKind kind = EngineKind::kEpoll;
  int listen_fd = -1;             // not owned
  int wake_fd = -1;               // an eventfd, not owned
  std::size_t epoll_batch = 512;  // maxevents of epoll_wait
  uring::RingOptions ring{};
  uring::BufferOptions buffers{};
};

// Throws Error. To be called by the thread that will run it.
std::unique_ptr<Engine> make_engine(const EngineOptions& options, Handler& handler,
                                    epulse_stats_worker& stats);

// Why an engine of these options cannot be made on this host; "" when it can.
std::string why_unavailable(const EngineOptions& options);

}  // namespace epulse::server
