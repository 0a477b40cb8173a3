#pragma once

#include <sys/types.h>

#include <string>

#include "agent/probes/socket_probe.hpp"

namespace epulse::cli {

// What `epulse stat --sockets` shows of a process's sockets: the worst after each interval, all of
// them together at the end. Throws LoadError where BPF is refused.
class SocketTable {
 public:
  explicit SocketTable(pid_t pid);

  // Ends an interval.
  void sample();
  // The worst of the interval that ended last.
  void print() const;
  // The whole run.
  void print_summary() const;

 private:
  probes::SocketProbe probe_;
  model::SocketIntervals intervals_;
  model::SocketPressure interval_;
  model::SocketRun run_;
};

}  // namespace epulse::cli
