#include "agent/daemon/daemon.hpp"

#include <poll.h>
#include <signal.h>
#include <spdlog/spdlog.h>
#include <sys/syscall.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <nlohmann/json.hpp>

#include "agent/alerts/payload.hpp"
#include "agent/config/usable.hpp"
#include "agent/control/history.hpp"
#include "agent/control/state_dir.hpp"
#include "agent/daemon/answers.hpp"
#include "agent/daemon/observations.hpp"
#include "agent/daemon/privileges.hpp"
#include "agent/error.hpp"
#include "agent/kernel/process.hpp"
#include "agent/kernel/process_end.hpp"
#include "agent/model/text.hpp"

namespace epulse::daemon {
namespace {

config::Mode effective_mode(config::Mode mode, const TargetSampler& sampler) {
  if (mode != config::Mode::kAuto) return mode;
  return sampler.is_bundled_server() ? config::Mode::kApply : config::Mode::kAdvise;
}

// Late wake-ups come by the thousand when they come; one line in this time sums them up.
constexpr uint64_t kExceptionsLogNs = 10'000'000'000;
// Of up to 64 connections at once.
constexpr uint64_t kLookMs = 100;
constexpr uint32_t kEndingTicksMax = 10;

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
      target_(
          fmt::format("{}[{}]", model::printable(kernel::process_name(options.pid)), options.pid)),
      started_ns_(kernel::monotonic_ns()),
      log_(options.config.agent.state_dir, target_),
      sampler_(options.pid, options.config.probes, options.backend),
      tuning_(options.pid, sampler_.is_bundled_server(), options.config,
              effective_mode(options.config.agent.mode, sampler_), log_),
      target_pidfd_(open_target(options.pid)) {
  uv_loop_init(&loop_);
  uv_timer_init(&loop_, &timer_);
  uv_timer_init(&loop_, &looks_);
  uv_timer_init(&loop_, &watchdog_);
  timer_.data = looks_.data = this;
  start_signal(interrupt_, SIGINT);
  start_signal(terminate_, SIGTERM);
  start_signal(quit_, SIGQUIT);
  uv_signal_init(&loop_, &hang_up_);
  hang_up_.data = this;
  uv_signal_start(
      &hang_up_, [](uv_signal_t* handle, int) { self(handle).hang_up(); }, SIGHUP);
  start_polling(target_ended_, target_pidfd_,
                [](uv_poll_t* handle, int, int) { self(handle).stop_when_ended(); });
  if (sampler_.descriptor() >= 0) {
    start_polling(exceptions_, sampler_.descriptor(),
                  [](uv_poll_t* handle, int, int) { self(handle).sampler_.consume(); });
  }
  const auto socket = socket_options();
  // Before any thread of ours: each starts with what we have then.
  kept_ = capabilities_needed(options.config, tuning_.mode(), sampler_.has_bpf(),
                              sampler_.is_bundled_server());
  keep_capabilities(kept_);
  config::require_usable(options.config);  // with what is left
  if (socket) open_socket(*socket);
  alarms_ = make_alarms();
  start_ticking();
  start_watchdog();
}

Daemon::~Daemon() {
  if (socket_) socket_->close();
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
      &handle,
      [](uv_signal_t* received, int signum) { self(received).stop_for(strsignal(signum)); },
      number);
}

void Daemon::start_ticking() {
  const uint64_t interval_ms = options_.config.agent.interval_ms;
  uv_timer_start(
      &timer_,
      [](uv_timer_t* handle) {
        Daemon& daemon = self(handle);
        daemon.guarded([&daemon] { daemon.tick(); });
      },
      interval_ms, interval_ms);
}

// Half of what systemd allows (WatchdogSec=): a loop that hangs does not say that it lives.
void Daemon::start_watchdog() {
  uint64_t limit_us = 0;
  if (sd_watchdog_enabled(0, &limit_us) <= 0) return;
  const uint64_t pause_ms = std::max<uint64_t>(1, limit_us / 2000);
  uv_timer_start(
      &watchdog_, [](uv_timer_t*) { sd_notify(0, "WATCHDOG=1"); }, pause_ms, pause_ms);
}

std::optional<LineSocketOptions> Daemon::socket_options() const {
  const config::Agent& agent = options_.config.agent;
  try {
    LineSocketOptions socket;
    socket.path = control::socket_path(agent.state_dir, getpid());
    socket.owner = "epulsed";
    socket.remedy = "set agent.state_dir to another";
    socket.line_bytes_max = control::kRequestBytesMax;
    socket.group = control::prepare_state_dir(agent.state_dir, agent.group);
    return socket;
  } catch (const std::exception& error) {
    spdlog::warn("`epulse status` will not reach us: {}", error.what());
    return std::nullopt;
  }
}

// Without a socket nobody can ask; all else goes on.
void Daemon::open_socket(const LineSocketOptions& options) {
  try {
    socket_ = std::make_unique<control::AgentSocket>(
        loop_, options, [this](const control::Request& request) { return answer(request); });
  } catch (const std::exception& error) {
    spdlog::warn("`epulse status` will not reach us: {}", error.what());
  }
}

std::unique_ptr<Alarms> Daemon::make_alarms() {
  return std::make_unique<Alarms>(
      options_.config,
      Alarms::Target{options_.pid, model::printable(kernel::process_name(options_.pid)),
                     probes::to_string(sampler_.plan().backend), sampler_.has_bpf()},
      loop_, log_);
}

void Daemon::log_start() const {
  const probes::Plan& plan = sampler_.plan();
  if (sampler_.has_bpf()) {
    spdlog::info("watching {}, {} backend", target_, to_string(plan.backend));
  } else {
    spdlog::warn("watching {}, procfs backend: {}", target_, plan.why);
    spdlog::warn("absent: queue depth and every stage but woken to running, which is a mean");
  }
  spdlog::info("mode {}{}; changes are restored on exit", config::name_of(tuning_.mode()),
               sampler_.is_bundled_server() ? " (epulse-ws)" : "");
  spdlog::debug("capabilities kept: {}", capabilities_text());
}

int Daemon::run() {
  log_start();
  sd_notifyf(0, "READY=1\nSTATUS=watching %s", target_.c_str());
  while (stopped_for_.empty()) {
    uv_run(&loop_, UV_RUN_DEFAULT);
    // Outside of the loop, which the programs of alarms that end may need; another one may be
    // wanted meanwhile.
    while (reload_wanted_ && stopped_for_.empty()) guarded([this] { reload(); });
  }
  sd_notify(0, "STOPPING=1");
  uv_timer_stop(&timer_);
  uv_timer_stop(&looks_);  // what is restored must not be changed again while the loop runs on
  // First what we owe to the target, then what we owe to those who watch it.
  const bool restored = tuning_.restore();
  if (socket_) socket_->close();
  alarms_->end(stopped_for_);
  return restored && !failed_ ? 0 : 1;
}

bool Daemon::may_reload() const {
  return options_.reload && isatty(STDERR_FILENO) == 0;
}

// Empty where it is as configured.
std::string Daemon::mode_why() const {
  if (tuning_.is_taken()) {
    return fmt::format(
        "since another epulsed changes {} already: stop one of the two (`pgrep -a epulsed` shows "
        "them); to have this one apply, restart it",
        target_);
  }
  if (lacks_capabilities_) {
    return "since what this configuration takes was given up at the start: restart it";
  }
  if (undone_unix_ms_ == 0) return "";
  return fmt::format("since `epulse undo` at {}; to have it apply again {}restart it",
                     alerts::rfc3339(undone_unix_ms_),
                     may_reload() ? fmt::format("`kill -HUP {}`, or ", getpid()) : "");
}

// A closed terminal must not leave changes behind; to a service it means another configuration.
void Daemon::hang_up() {
  if (!may_reload()) return stop_for(strsignal(SIGHUP));
  reload_wanted_ = true;
  uv_stop(&loop_);
}

void Daemon::reload() {
  reload_wanted_ = false;
  try {
    const config::Config config = options_.reload();
    if (config.probes != options_.config.probes ||
        config.agent.state_dir != options_.config.agent.state_dir ||
        config.agent.group != options_.config.agent.group) {
      spdlog::warn("agent.state_dir, agent.group and [probes] hold from the next start on");
    }
    config::Config next = config;
    next.probes = options_.config.probes;
    next.agent.state_dir = options_.config.agent.state_dir;
    next.agent.group = options_.config.agent.group;
    options_.config = next;
    config_error_.clear();
    undone_unix_ms_ = 0;
  } catch (const std::exception& error) {
    config_error_ = error.what();
    spdlog::error("the configuration stays as it is: {}", error.what());
    return;
  }
  spdlog::set_level(spdlog::level::from_str(options_.config.agent.log_level));
  tuning_.reconfigure(options_.config, mode_within(options_.config));
  uv_timer_stop(&timer_);
  auto alarms = make_alarms();
  alarms->take_over(*alarms_);
  alarms_->end("another configuration");  // of the sinks that it has not handed over
  alarms_ = std::move(alarms);
  start_ticking();
  spdlog::info("configuration read again; mode {}", config::name_of(tuning_.mode()));
}

// What was given up at the start does not come back.
config::Mode Daemon::mode_within(const config::Config& config) {
  const config::Mode mode = effective_mode(config.agent.mode, sampler_);
  lacks_capabilities_ = false;
  for (const cap_value_t one :
       capabilities_needed(config, mode, sampler_.has_bpf(), sampler_.is_bundled_server())) {
    if (std::find(kept_.begin(), kept_.end(), one) != kept_.end()) continue;
    spdlog::warn(
        "this configuration takes capabilities that were given up at the start: mode advise until "
        "epulsed is restarted");
    lacks_capabilities_ = mode != config::Mode::kAdvise;
    return config::Mode::kAdvise;
  }
  return mode;
}

std::string Daemon::answer(const control::Request& request) {
  try {
    if (request.name == "undo") return undo(request.dry_run);
    const double running_s = static_cast<double>(kernel::monotonic_ns() - started_ns_) / 1e9;
    return daemon::answer(request, {options_.config, sampler_, tuning_, log_, *alarms_, last_sched_,
                                    target_, mode_why(), config_error_, running_s, intervals_});
  } catch (const std::exception& error) {
    return control::error_line(error.what());
  }
}

std::string Daemon::undo(bool dry_run) {
  if (dry_run) return control::to_line(control::preview_json(tuning_.journaled()));
  const bool applied = tuning_.mode() == config::Mode::kApply;
  const auto outcomes = tuning_.undo_and_stand_down();
  if (applied) {
    spdlog::warn("undone by request; from now on mode {}", config::name_of(tuning_.mode()));
    undone_unix_ms_ = control::unix_ms_now();
  }
  return control::to_line(
      {{"outcomes", control::outcomes_json(outcomes)}, {"mode", config::name_of(tuning_.mode())}});
}

// An exception must not fly through libuv's C frames, and must not keep us from restoring.
void Daemon::guarded(const std::function<void()>& step) {
  try {
    step();
  } catch (const std::exception& error) {
    spdlog::error("{}", error.what());
    failed_ = true;
    stop_for("after an error");
  }
}

void Daemon::tick() {
  const TargetSample sample = sampler_.sample();
  // Its threads are missing from it then, which would be news of each.
  if (target_has_ended()) return stop_when_ended();
  // It has soon, unless a device or a file system keeps it.
  if (kernel::is_ending(options_.pid) && ++ending_ticks_ <= kEndingTicksMax) return;
  const uint64_t now_ns = kernel::monotonic_ns();
  log_exceptions(sample, now_ns);
  if (sample.epoll) {
    for (const std::string& text : texts_of(sample.epoll->losses)) spdlog::warn("lost: {}", text);
  }
  log_overhead();
  alarms_->interval(sample);
  tuning_.step(sample, now_ns);
  last_sched_ = sample.sched;
  ++intervals_;
  look_closely();
}

// Between the ticks, while some connections are watched.
void Daemon::look_closely() {
  const bool wanted = tuning_.wants_looks() && stopped_for_.empty();
  if (!wanted) {
    uv_timer_stop(&looks_);
  } else if (uv_is_active(reinterpret_cast<uv_handle_t*>(&looks_)) == 0) {
    uv_timer_start(
        &looks_,
        [](uv_timer_t* handle) {
          Daemon& daemon = self(handle);
          daemon.guarded([&daemon] { daemon.tuning_.look(kernel::monotonic_ns()); });
        },
        kLookMs, kLookMs);
  }
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

void Daemon::stop_for(const std::string& why) {
  stop(why, "epulsed has stopped: " + why);
}

void Daemon::stop_when_ended() {
  const std::string why = fmt::format("process {} has ended", target_);
  stop(why, why);
}

bool Daemon::target_has_ended() const {
  pollfd ended{target_pidfd_, POLLIN, 0};
  return poll(&ended, 1, 0) == 1;
}

void Daemon::stop(const std::string& why, const std::string& resolution) {
  if (stopped_for_.empty()) {
    spdlog::info("stopping: {}", why);
    stopped_for_ = resolution;
  }
  uv_stop(&loop_);
  uv_timer_stop(&timer_);
  uv_timer_stop(&looks_);
  uv_poll_stop(&target_ended_);  // it stays readable
}

}  // namespace epulse::daemon
