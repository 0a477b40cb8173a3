#pragma once

#include <uv.h>

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

#include "agent/control/protocol.hpp"
#include "common/line_socket.hpp"

namespace epulse::control {

// epulsed's socket. Lines come in its own thread; what they ask for is done in the loop's, which
// never waits for a client.
class AgentSocket {
 public:
  // Called in the loop's thread; returns a line. Must not throw.
  using Handle = std::function<std::string(const Request&)>;

  // Throws std::runtime_error.
  AgentSocket(uv_loop_t& loop, const LineSocketOptions& options, Handle handle);
  AgentSocket(const AgentSocket&) = delete;
  AgentSocket& operator=(const AgentSocket&) = delete;
  // The loop has closed our handle: close() comes before that.
  ~AgentSocket() { close(); }

  // No more requests; in the loop's thread.
  void close();

 private:
  std::string answer(std::string_view line);
  void handle_waiting();

  Handle handle_;
  uv_async_t wake_{};
  std::mutex mutex_;
  std::condition_variable answered_;
  std::optional<Request> request_;  // waits for the loop
  std::optional<std::string> answer_;
  bool closed_ = false;
  std::unique_ptr<LineSocket> socket_;
};

}  // namespace epulse::control
