#pragma once

#include <cstddef>
#include <cstdint>

#include "server/engine/uring/options.hpp"

namespace epulse::server {

enum class EngineKind : std::uint8_t { kEpoll, kUring };

const char* engine_name(EngineKind kind);

// When epoll tells of a socket, and what that costs.
enum class EpollMode : std::uint8_t {
  kLevel,    // whenever it is ready: no call but for who is paused or blocked
  kEdge,     // when it becomes ready: none for who is paused either, but each is read to the end
  kOneShot,  // once, until it is armed again: a call for each event
};

struct EngineOptions {
  EngineKind kind = EngineKind::kEpoll;
  int listen_fd = -1;             // not owned; -1: nobody is accepted
  int wake_fd = -1;               // an eventfd, not owned; -1: nobody wakes
  std::size_t epoll_batch = 512;  // maxevents of epoll_wait
  EpollMode epoll_mode = EpollMode::kLevel;
  uring::RingOptions ring{};
  uring::BufferOptions buffers{};
  uring::ZeroCopyOptions zero_copy{};  // io_uring
};

}  // namespace epulse::server
