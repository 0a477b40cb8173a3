#pragma once

#include <uv.h>

#include <memory>
#include <string>
#include <vector>

#include "agent/config/config.hpp"
#include "agent/daemon/alarms.hpp"
#include "agent/daemon/target_sampler.hpp"
#include "agent/daemon/tuning.hpp"

namespace epulse::daemon {

struct Options {
  pid_t pid = 0;
  config::Config config;
  std::string backend = "auto";  // as for probes::attach()
};

// One target, watched until it ends or we are told to stop: sample, alert, tune, and restore in the
// end.
class Daemon {
 public:
  explicit Daemon(const Options& options);
  ~Daemon();
  Daemon(const Daemon&) = delete;
  Daemon& operator=(const Daemon&) = delete;

  // Returns the exit status: 0, or 1 when something failed or a change could not be undone.
  int run();

 private:
  void start_polling(uv_poll_t& handle, int fd, uv_poll_cb callback);
  void start_signal(uv_signal_t& handle, int number);
  void guarded_tick();
  void tick();
  void log_exceptions(const TargetSample& sample, uint64_t now_ns);
  void log_overhead();
  void stop(const char* why);

  Options options_;
  TargetSampler sampler_;
  Tuning tuning_;
  int target_pidfd_ = -1;
  bool failed_ = false;
  std::vector<epoll_wait_record> unlogged_;  // exceptions since the last log line on them
  uint64_t next_exceptions_log_ns_ = 0;
  unsigned logged_detail_one_in_ = 0;  // 0: nothing logged yet

  uv_loop_t loop_{};
  uv_timer_t timer_{};
  uv_signal_t interrupt_{};
  uv_signal_t terminate_{};
  uv_signal_t hang_up_{};
  uv_signal_t quit_{};
  uv_poll_t target_ended_{};
  uv_poll_t exceptions_{};
  std::unique_ptr<Alarms> alarms_;
  std::string stopped_for_;
};

}  // namespace epulse::daemon
