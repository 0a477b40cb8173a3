#pragma once

#include <sys/types.h>

#include <chrono>
#include <optional>
#include <string>

#include "common/unique_fd.hpp"
#include "server/engine/listener.hpp"

// Hot restart: a new process, of the program as it now lies on the disk, takes over the listening
// sockets with those who wait in their queues, while the old one goes on with its connections.
namespace epulse::server {

// What the process before this one hands over; nothing when somebody else has started it. Throws
// Error.
std::optional<InheritedListeners> inherited_listeners();

// Tells the process before this one, if there is one, that this one serves.
void report_ready();

// The process that is to take over.
class Successor {
 public:
  enum class State { kStarting, kServes, kFailed };

  // Runs `program` with our arguments. Throws Error.
  Successor(const std::string& program, char** arguments, const InheritedListeners& listeners);
  Successor(const Successor&) = delete;
  Successor& operator=(const Successor&) = delete;
  // Ends it unless it serves.
  ~Successor();

  // Waits so long for a change.
  State wait(std::chrono::milliseconds time);
  pid_t pid() const { return pid_; }

 private:
  UniqueFd ready_;  // it writes one byte when it serves
  pid_t pid_ = -1;
  State state_ = State::kStarting;
};

}  // namespace epulse::server
