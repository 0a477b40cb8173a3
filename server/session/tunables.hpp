#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "server/engine/engine_options.hpp"
#include "server/session/session_options.hpp"

namespace epulse::server {

// What may be changed while the server runs. Any thread may; workers look when they need it.
struct Tunables {
  Tunables(const SessionOptions& session, const EngineOptions& engine)
      : backlog_cap_bytes(session.backlog_cap_bytes),
        max_connections(session.max_connections),
        idle_timeout_ns(session.idle_timeout_ns),
        epoll_batch(engine.epoll_batch) {}

  std::atomic<std::uint64_t> backlog_cap_bytes;
  std::atomic<std::uint64_t> max_connections;
  std::atomic<std::uint64_t> idle_timeout_ns;  // for connections as they are looked at next
  std::atomic<std::uint64_t> epoll_batch;      // from the next tick on
};

}  // namespace epulse::server
