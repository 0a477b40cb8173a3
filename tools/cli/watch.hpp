#pragma once

#include <signal.h>
#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <initializer_list>

namespace epulse::cli {

// Waits for the next tick, an interrupt, or the end of a process, whichever comes first. SIGINT and
// SIGTERM are blocked for the process from construction on, so construct it before threads or
// children.
class Watch {
 public:
  enum class Event {
    kTick,
    kInterrupted,
    kExited,
    // After add_terminal() alone:
    kInput,    // keys can be read
    kResized,  // SIGWINCH
    kSuspend,  // Ctrl-Z
  };

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
  // Also waits for what a user does with a terminal; one that hangs up is an interrupt.
  void add_terminal(int input);

  // Ticks that were missed (a slow terminal) are skipped, not made up.
  Event next();

 private:
  void block(std::initializer_list<int> numbers);
  Event read_signal() const;

  static constexpr int kProcessesMax = 4;
  sigset_t blocked_;
  int signals_ = -1;
  int timer_ = -1;
  int processes_[kProcessesMax];
  int process_count_ = 0;
  int descriptor_ = -1;
  std::function<void()> ready_;
  int terminal_ = -1;
};

}  // namespace epulse::cli
