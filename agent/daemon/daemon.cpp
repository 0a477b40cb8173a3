#include "agent/daemon/daemon.hpp"

#include <signal.h>
#include <spdlog/spdlog.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstring>

#include "agent/daemon/observations.hpp"
#include "agent/error.hpp"
#include "agent/kernel/process.hpp"

namespace epulse::daemon {
namespace {

config::Mode effective_mode(config::Mode mode, const TargetSampler& sampler) {
  if (mode != config::Mode::kAuto) return mode;
  return sampler.is_bundled_server() ? config::Mode::kApply : config::Mode::kAdvise;
}

// Late wake-ups come by the thousand when they come; one line in this time sums them up.
constexpr uint64_t kExceptionsLogNs = 10'000'000'000;

const char* mode_name(config::Mode mode) {
  switch (mode) {
    case config::Mode::kAuto:
      return "auto";
    case config::Mode::kObserve:
      return "observe";
    case config::Mode::kAdvise:
      return "advise";
    case config::Mode::kApply:
      return "apply";
  }
  return "?";
}

int open_target(pid_t pid) {
  const auto fd = static_cast<int>(syscall(SYS_pidfd_open, pid, 0));
  if (fd < 0) fail("cannot watch process {}: {}", pid, errno_text(errno));
  return fd;
}

Daemon& self(void* handle) {
  return *static_cast<Daemon*>(uv_handle_get_data(static_cast<uv_handle_t*>(handle)));
}

}  // namespace

Daemon::Daemon(const Options& options)
    : options_(options),
      sampler_(options.pid, options.config.probes, options.backend),
      tuning_(options.pid, options.config, effective_mode(options.config.agent.mode, sampler_)),
      target_pidfd_(open_target(options.pid)) {
  uv_loop_init(&loop_);
  uv_timer_init(&loop_, &timer_);
  timer_.data = this;
  start_signal(interrupt_, SIGINT);
  start_signal(terminate_, SIGTERM);
  // A closed terminal, or a reader of our messages that ended first, must not leave changes behind.
  start_signal(hang_up_, SIGHUP);
  start_signal(quit_, SIGQUIT);
  start_polling(target_ended_, target_pidfd_,
                [](uv_poll_t* handle, int, int) { self(handle).stop("the target ended"); });
  if (sampler_.descriptor() >= 0) {
    start_polling(exceptions_, sampler_.descriptor(),
                  [](uv_poll_t* handle, int, int) { self(handle).sampler_.consume(); });
  }
  alarms_ = std::make_unique<Alarms>(
      options.config,
      Alarms::Target{options.pid, kernel::process_name(options.pid),
                     probes::to_string(sampler_.plan().backend), sampler_.has_bpf()},
      loop_);
  const uint64_t interval_ms = options.config.agent.interval_ms;
  uv_timer_start(
      &timer_, [](uv_timer_t* handle) { self(handle).guarded_tick(); }, interval_ms, interval_ms);
}

Daemon::~Daemon() {
  uv_walk(
      &loop_,
      [](uv_handle_t* handle, void*) {
        if (uv_is_closing(handle) == 0) uv_close(handle, nullptr);
      },
      nullptr);
  uv_run(&loop_, UV_RUN_DEFAULT);
  uv_loop_close(&loop_);
  close(target_pidfd_);
}

void Daemon::start_polling(uv_poll_t& handle, int fd, uv_poll_cb callback) {
  const int error = uv_poll_init(&loop_, &handle, fd);
  if (error != 0) fail("cannot poll descriptor {}: {}", fd, uv_strerror(error));
  handle.data = this;
  uv_poll_start(&handle, UV_READABLE, callback);
}

void Daemon::start_signal(uv_signal_t& handle, int number) {
  uv_signal_init(&loop_, &handle);
  handle.data = this;
  uv_signal_start(
      &handle, [](uv_signal_t* received, int signum) { self(received).stop(strsignal(signum)); },
      number);
}

int Daemon::run() {
  const std::string name = kernel::process_name(options_.pid);
  const probes::Plan& plan = sampler_.plan();
  if (sampler_.has_bpf()) {
    spdlog::info("watching {}[{}], {} backend", name, options_.pid, to_string(plan.backend));
  } else {
    spdlog::warn("watching {}[{}], procfs backend: {}", name, options_.pid, plan.why);
    spdlog::warn("absent: queue depth and every stage but woken to running, which is a mean");
  }
  spdlog::info("mode {}{}; changes are restored on exit",
               mode_name(effective_mode(options_.config.agent.mode, sampler_)),
               sampler_.is_bundled_server() ? " (epulse-ws)" : "");
  uv_run(&loop_, UV_RUN_DEFAULT);
  // First what we owe to the target, then what we owe to those who watch it.
  const bool restored = tuning_.restore();
  alarms_->end(stopped_for_);
  return restored && !failed_ ? 0 : 1;
}

// An exception must not fly through libuv's C frames, and must not keep us from restoring.
void Daemon::guarded_tick() {
  try {
    tick();
  } catch (const std::exception& error) {
    spdlog::error("{}", error.what());
    failed_ = true;
    stop("after an error");
  }
}

void Daemon::tick() {
  const TargetSample sample = sampler_.sample();
  const uint64_t now_ns = kernel::monotonic_ns();
  log_exceptions(sample, now_ns);
  if (sample.epoll) {
    for (const std::string& text : texts_of(sample.epoll->losses)) spdlog::warn("lost: {}", text);
  }
  log_overhead();
  alarms_->interval(sample);
  tuning_.step(sample, now_ns);
}

void Daemon::log_exceptions(const TargetSample& sample, uint64_t now_ns) {
  unlogged_.insert(unlogged_.end(), sample.exceptions.begin(), sample.exceptions.end());
  if (unlogged_.empty() || now_ns < next_exceptions_log_ns_) return;
  const std::string text = exceptions_text(unlogged_, sample.sched);
  unlogged_.clear();
  if (text.empty()) return;  // samples and first deliveries alone
  spdlog::info("{}", text);
  next_exceptions_log_ns_ = now_ns + kExceptionsLogNs;
}

// The first figure, and whenever there is more or less of it to be measured.
void Daemon::log_overhead() {
  const model::Overhead* overhead = sampler_.overhead();
  if (overhead == nullptr || (!overhead->full_cost && overhead->unmeasured.empty())) return;
  if (logged_detail_one_in_ == overhead->detail_one_in) return;
  logged_detail_one_in_ = overhead->detail_one_in;
  spdlog::info("probes: {}", text_of(*overhead));
}

void Daemon::stop(const char* why) {
  if (stopped_for_.empty()) {
    spdlog::info("stopping: {}", why);
    stopped_for_ = fmt::format("epulsed has stopped: {}", why);
  }
  uv_stop(&loop_);
  uv_timer_stop(&timer_);
  uv_poll_stop(&target_ended_);  // it stays readable
}

}  // namespace epulse::daemon
