#include "agent/notify/exec_hook.hpp"

#include <fmt/format.h>
#include <signal.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <algorithm>
#include <array>

#include "agent/alerts/payload.hpp"

namespace epulse::notify {
namespace {

constexpr size_t kWaitingMax = 256;
constexpr uint64_t kFinishMs = 5000;  // each, at the end of everything

// An environment ends at the first NUL of each text; names of programs are letters of the kernel's.
std::string variable(std::string name, std::string value) {
  std::transform(name.begin(), name.end(), name.begin(),
                 [](char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c; });
  std::replace(value.begin(), value.end(), '\0', '?');
  return fmt::format("EPULSE_{}={}", name, value);
}

ExecHook& self(void* handle) {
  return *static_cast<ExecHook*>(uv_handle_get_data(static_cast<uv_handle_t*>(handle)));
}

std::vector<char*> pointers(std::vector<std::string>& texts) {
  std::vector<char*> all;
  all.reserve(texts.size() + 1);
  for (std::string& text : texts) all.push_back(text.data());
  all.push_back(nullptr);
  return all;
}

}  // namespace

std::vector<std::string> environment_of(const alerts::Alarm& alarm) {
  std::vector<std::string> all;
  all.push_back(variable("STATE", alarm.fires() ? "firing" : "resolved"));
  all.push_back(variable("STARTS_AT", alerts::rfc3339(alarm.starts_unix_ms)));
  if (alarm.ends_unix_ms) {
    all.push_back(variable("ENDS_AT", alerts::rfc3339(*alarm.ends_unix_ms)));
  }
  for (const auto& [name, text] : alarm.labels) all.push_back(variable("LABEL_" + name, text));
  for (const auto& [name, text] : alerts::annotations_of(alarm)) {
    all.push_back(variable(name, text));
  }
  return all;
}

ExecHook::ExecHook(uv_loop_t& loop, const ExecHookOptions& options)
    : loop_(loop), options_(options), timeout_ms_(options.timeout_ms) {}

void ExecHook::run(const alerts::Alarm& alarm) {
  if (waiting_.size() == kWaitingMax) {
    if (dropped_++ == 0) {
      spdlog::error("exec: {} is too slow: {} alarms wait for it, further ones are not told",
                    options_.command[0], kWaitingMax);
    }
    return;
  }
  waiting_.push_back(environment_of(alarm));
  if (!running_) start_next();
}

void ExecHook::start_next() {
  if (waiting_.empty() || running_) return;
  Environment environment = std::move(waiting_.front());
  waiting_.pop_front();
  ++runs_;
  running_ = true;
  timed_out_ = false;
  open_handles_ = 2;
  uv_timer_init(&loop_, &timer_);
  timer_.data = this;
  if (const int error = spawn(std::move(environment)); error != 0) {
    spdlog::error("exec: cannot run {}: {}; see alerts.exec.command", options_.command[0],
                  uv_strerror(error));
    ended(-1, 0);
    return;
  }
  limit_to(timeout_ms_);
}

int ExecHook::spawn(Environment own) {
  for (char** inherited = environ; *inherited != nullptr; ++inherited) own.emplace_back(*inherited);
  std::vector<std::string> command = options_.command;
  std::vector<char*> arguments = pointers(command);
  std::vector<char*> environment = pointers(own);
  std::array<uv_stdio_container_t, 3> stdio{};
  stdio[0].flags = UV_IGNORE;
  stdio[1].flags = UV_INHERIT_FD;  // what it says goes where our messages go
  stdio[1].data.fd = STDERR_FILENO;
  stdio[2] = stdio[1];
  uv_process_options_t options{};
  options.file = arguments[0];
  options.args = arguments.data();
  options.env = environment.data();
  options.stdio = stdio.data();
  options.stdio_count = static_cast<int>(stdio.size());
  options.flags = UV_PROCESS_DETACHED;  // a process group of its own, to be ended as one
  options.exit_cb = [](uv_process_t* process, int64_t status, int signal) {
    self(process).ended(status, signal);
  };
  process_ = {};
  process_.data = this;
  return uv_spawn(&loop_, &process_, &options);
}

void ExecHook::limit_to(uint64_t timeout_ms) {
  uv_timer_start(
      &timer_, [](uv_timer_t* timer) { self(timer).time_out(); }, timeout_ms, 0);
}

void ExecHook::time_out() {
  timed_out_ = true;
  kill(-process_.pid, SIGKILL);
}

void ExecHook::ended(int64_t status, int signal) {
  if (status != 0 || signal != 0) ++failures_;
  if (timed_out_) {
    spdlog::error("exec: {} took longer than {} s and was killed; see alerts.exec.timeout_s",
                  options_.command[0], timeout_ms_ / 1000);
  } else if (status > 0 || signal != 0) {
    spdlog::error("exec: {} ended with {} {}", options_.command[0],
                  signal != 0 ? "signal" : "status", signal != 0 ? signal : status);
  }
  const auto closed = [](uv_handle_t* handle) {
    ExecHook& hook = self(handle);
    if (--hook.open_handles_ > 0) return;
    hook.running_ = false;
    hook.start_next();
  };
  uv_close(reinterpret_cast<uv_handle_t*>(&process_), closed);
  uv_close(reinterpret_cast<uv_handle_t*>(&timer_), closed);
}

void ExecHook::finish() {
  timeout_ms_ = std::min(timeout_ms_, kFinishMs);
  const uint64_t until_ms = uv_now(&loop_) + timeout_ms_;
  if (running_ && uv_is_active(reinterpret_cast<uv_handle_t*>(&timer_)) != 0) limit_to(timeout_ms_);
  while (running_) {
    uv_run(&loop_, UV_RUN_ONCE);
    if (waiting_.empty() || uv_now(&loop_) < until_ms) continue;
    spdlog::error("exec: {} alarms are not told: {} is too slow", waiting_.size(),
                  options_.command[0]);
    dropped_ += waiting_.size();
    waiting_.clear();
  }
}

}  // namespace epulse::notify
