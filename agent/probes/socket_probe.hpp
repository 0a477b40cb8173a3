#pragma once

#include <sys/types.h>

#include <memory>

#include "agent/kernel/facts.hpp"
#include "agent/model/socket_pressure.hpp"

namespace epulse::probes {

struct SocketProbeOptions {
  pid_t tgid = 0;
};

// The sockets of one process. Between two reads only lost packets and refused memory run anything.
// Attached from construction to destruction. Not thread-safe.
class SocketProbe {
 public:
  // Throws LoadError when the kernel refuses it, with the cause and a remedy.
  SocketProbe(const SocketProbeOptions& options, const kernel::Facts& facts);
  ~SocketProbe();
  SocketProbe(const SocketProbe&) = delete;
  SocketProbe& operator=(const SocketProbe&) = delete;

  // Walks the descriptors; cumulative since attach. Learns the sockets that are new: what happened
  // to them before is unattributed. Throws Error when the walk is cut short.
  model::SocketPressure read();

  // Has the verifier look at every program, reading kernel memory in the way given, and drops them.
  // Throws LoadError.
  static model::SocketHooks check_load(const kernel::Facts& facts);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace epulse::probes
