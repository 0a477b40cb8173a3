#pragma once

#include <sys/types.h>

#include <cstdint>
#include <functional>

namespace epulse::cli {

// Waits for the next tick, an interrupt, or the end of a process, whichever comes first. SIGINT and
// SIGTERM are blocked for the process from construction on, so construct it before threads or
// children.
class Watch {
 public:
  enum class Event { kTick, kInterrupted, kExited };

  Watch();
  ~Watch();
  Watch(const Watch&) = delete;
  Watch& operator=(const Watch&) = delete;

  // The first tick comes `interval_s` from now.
  void start(double interval_s);
  // Also ends when this process does. Throws Error when there is none.
  void add_process(pid_t pid);
  // Calls `ready` whenever the descriptor is readable, while waiting.
  void add_descriptor(int fd, std::function<void()> ready);

  // Ticks that were missed (a slow terminal) are skipped, not made up.
  Event next();

 private:
  static constexpr int kProcessesMax = 4;
  int signals_;
  int timer_;
  int processes_[kProcessesMax];
  int process_count_ = 0;
  int descriptor_ = -1;
  std::function<void()> ready_;
};

}  // namespace epulse::cli
