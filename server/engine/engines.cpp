#include "server/engine/engines.hpp"

#include "server/error.hpp"

namespace epulse::server {

const char* engine_name(EngineKind kind) {
  return kind == EngineKind::kUring ? "io_uring" : "epoll";
}

std::unique_ptr<SocketEngine> make_engine(const EngineOptions& options, Handler& handler,
                                          epulse_stats_worker& stats) {
  if (options.kind == EngineKind::kUring) {
    const UringOptions uring{.listen_fd = options.listen_fd,
                             .wake_fd = options.wake_fd,
                             .ring = options.ring,
                             .buffers = options.buffers,
                             .zero_copy = options.zero_copy};
    return std::make_unique<UringEngine>(uring, handler, stats);
  }
  const EpollOptions epoll{.listen_fd = options.listen_fd,
                           .wake_fd = options.wake_fd,
                           .batch = options.epoll_batch,
                           .mode = options.epoll_mode};
  return std::make_unique<EpollEngine>(epoll, handler, stats);
}

std::string why_unavailable(const EngineOptions& options) {
  if (options.kind != EngineKind::kUring) return {};
  try {
    uring::Ring ring(options.ring);
    const uring::ReceiveBuffers buffers(ring, options.buffers);
    return {};
  } catch (const Error& error) {
    return error.what();
  }
}

}  // namespace epulse::server
