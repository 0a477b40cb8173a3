#pragma once

#include <sys/capability.h>
#include <uv.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "agent/config/config.hpp"
#include "agent/control/agent_socket.hpp"
#include "agent/daemon/alarms.hpp"
#include "agent/daemon/target_sampler.hpp"
#include "agent/daemon/tuning.hpp"
#include "agent/daemon/tuning_log.hpp"

namespace epulse::daemon {

struct Options {
  pid_t pid = 0;
  config::Config config;
  std::string backend = "auto";  // as for probes::attach()
  // Reads the configuration once more, with what the command line has to say; throws Error. Empty:
  // there is no file.
  std::function<config::Config()> reload;
};

// One target, watched until it ends or we are told to stop: sample, alert, tune, answer, and
// restore in the end.
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
  void start_ticking();
  void start_watchdog();
  std::optional<LineSocketOptions> socket_options() const;
  void open_socket(const LineSocketOptions& options);
  void log_start() const;
  void guarded(const std::function<void()>& step);
  void tick();
  void look_closely();
  void log_exceptions(const TargetSample& sample, uint64_t now_ns);
  void log_overhead();
  void hang_up();
  bool may_reload() const;
  std::string mode_why() const;
  void reload();
  config::Mode mode_within(const config::Config& config);
  std::unique_ptr<Alarms> make_alarms();
  std::string answer(const control::Request& request);
  std::string undo(bool dry_run);
  void stop(const std::string& why, const std::string& resolution);
  void stop_for(const std::string& why);
  void stop_when_ended();
  bool target_has_ended() const;

  Options options_;
  std::string target_;  // "ws-server[4711]"
  uint64_t started_ns_;
  uint64_t intervals_ = 0;
  TuningLog log_;
  TargetSampler sampler_;
  Tuning tuning_;
  std::vector<cap_value_t> kept_;  // capabilities
  int target_pidfd_ = -1;
  bool failed_ = false;
  bool reload_wanted_ = false;
  bool lacks_capabilities_ = false;  // for the mode of the configuration read last
  uint32_t ending_ticks_ = 0;        // skipped, since the target is about to end
  int64_t undone_unix_ms_ = 0;  // by request, so that the mode is advise; 0: it is as configured
  std::string config_error_;    // of the last reload; empty: it was taken
  std::string stopped_for_;     // as alarms say it; empty while we run
  model::SchedInterval last_sched_;
  std::vector<epoll_wait_record> unlogged_;  // exceptions since the last log line on them
  uint64_t next_exceptions_log_ns_ = 0;
  unsigned logged_detail_one_in_ = 0;  // 0: nothing logged yet

  uv_loop_t loop_{};
  uv_timer_t timer_{};
  uv_timer_t looks_{};
  uv_timer_t watchdog_{};
  uv_signal_t interrupt_{};
  uv_signal_t terminate_{};
  uv_signal_t hang_up_{};
  uv_signal_t quit_{};
  uv_poll_t target_ended_{};
  uv_poll_t exceptions_{};
  std::unique_ptr<Alarms> alarms_;
  std::unique_ptr<control::AgentSocket> socket_;
};

}  // namespace epulse::daemon
