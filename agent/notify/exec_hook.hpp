#pragma once

#include <uv.h>

#include <cstdint>
#include <deque>
#include <string>
#include <vector>

#include "agent/alerts/alarm.hpp"

namespace epulse::notify {

struct ExecHookOptions {
  std::vector<std::string> command;  // never empty; the first is an absolute path
  uint64_t timeout_ms = 10'000;
};

// Runs a program for each alarm that fires or is resolved, without a shell: the alarm is in its
// environment. One at a time, in order, so that "resolved" never overtakes "firing"; one that takes
// too long is killed with all of its process group.
class ExecHook {
 public:
  ExecHook(uv_loop_t& loop, const ExecHookOptions& options);
  ExecHook(const ExecHook&) = delete;
  ExecHook& operator=(const ExecHook&) = delete;
  // Only when idle: see finish().
  ~ExecHook() = default;

  void run(const alerts::Alarm& alarm);

  // From the next run on.
  void set_timeout(uint64_t timeout_ms) { timeout_ms_ = timeout_ms; }

  // Runs the loop until nothing runs any more: what runs has five seconds, where its own time is
  // not shorter, and what still waits after that is dropped.
  void finish();

  uint64_t runs() const { return runs_; }
  uint64_t failures() const { return failures_; }
  uint64_t dropped() const { return dropped_; }

 private:
  using Environment = std::vector<std::string>;  // "NAME=value"

  void start_next();
  int spawn(Environment own);
  void ended(int64_t status, int signal);
  void limit_to(uint64_t timeout_ms);
  void time_out();

  uv_loop_t& loop_;
  ExecHookOptions options_;
  uint64_t timeout_ms_;
  uv_process_t process_{};
  uv_timer_t timer_{};
  bool running_ = false;
  bool timed_out_ = false;
  int open_handles_ = 0;
  std::deque<Environment> waiting_;
  uint64_t runs_ = 0;
  uint64_t failures_ = 0;
  uint64_t dropped_ = 0;
};

// "EPULSE_STATE=firing", ...: what an alarm says, beside our own environment.
std::vector<std::string> environment_of(const alerts::Alarm& alarm);

}  // namespace epulse::notify
