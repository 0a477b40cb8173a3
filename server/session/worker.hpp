#pragma once

#include <sys/types.h>

#include <cstddef>
#include <future>
#include <thread>

#include "common/unique_fd.hpp"
#include "server/engine/engines.hpp"
#include "server/session/session.hpp"
#include "server/tls/context.hpp"

namespace epulse::server {

struct WorkerOptions {
  std::size_t index = 0;
  int cpu = -1;                       // -1: not pinned
  EngineOptions engine;               // its descriptors are the worker's affair
  const tls::Context* tls = nullptr;  // none: plain connections
};

// One thread with its own listener, loop, connections and buffers.
class Worker {
 public:
  Worker(const WorkerOptions& options, SharedState& shared, HandlerFactory make_handler,
         UniqueFd listener);
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;
  ~Worker();

  // Waits until the worker serves; throws what hindered it.
  pid_t wait_started() { return started_.get_future().get(); }
  // Waits until it has ended; throws what ended it before its time.
  void join();

 private:
  void run();
  pid_t set_up();

  WorkerOptions options_;
  SharedState& shared_;
  HandlerFactory make_handler_;
  UniqueFd listener_;
  std::promise<pid_t> started_;
  std::promise<void> ended_;
  std::thread thread_;
};

}  // namespace epulse::server
