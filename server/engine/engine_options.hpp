#pragma once

#include <cstddef>
#include <cstdint>

#include "server/engine/uring/options.hpp"

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

}  // namespace epulse::server
