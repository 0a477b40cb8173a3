#include "agent/notify/alertmanager.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <chrono>

#include "agent/alerts/payload.hpp"
#include "agent/notify/http_post.hpp"

namespace epulse::notify {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr double kLastWordS = 2;
// Posts may fail for some time before what fires would end by itself at the receiver's.
constexpr int64_t kResendsMissed = 4;

uint64_t monotonic_ms() {
  const auto now = steady_clock::now().time_since_epoch();
  return static_cast<uint64_t>(std::chrono::duration_cast<milliseconds>(now).count());
}

int64_t unix_ms() {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return std::chrono::duration_cast<milliseconds>(now).count();
}

// So long has what fires been said before it is taken for resolved.
int64_t holds_ms(const alerts::OutboxLimits& limits) {
  return kResendsMissed * static_cast<int64_t>(std::max(limits.resend_ms, limits.retry_ms_max));
}

// Of what was posted; anything else is about the receiver.
bool is_refusal(long status) {
  return status == 400 || status == 413 || status == 422;
}

}  // namespace

AlertmanagerSink::AlertmanagerSink(const AlertmanagerOptions& options)
    : options_(options), outbox_(options.limits), thread_([this] { run(); }) {}

AlertmanagerSink::~AlertmanagerSink() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
    cancel_ = true;
  }
  changed_.notify_one();
  thread_.join();
}

void AlertmanagerSink::put(const alerts::Alarm& alarm) {
  {
    const std::lock_guard lock(mutex_);
    outbox_.put(alarm);
  }
  changed_.notify_one();
}

void AlertmanagerSink::refresh(const std::map<uint64_t, alerts::Reading>& readings) {
  const std::lock_guard lock(mutex_);
  outbox_.refresh(readings);
}

std::vector<alerts::Alarm> AlertmanagerSink::take_unsaid() {
  const std::lock_guard lock(mutex_);
  return outbox_.take_unsaid();
}

DeliveryState AlertmanagerSink::state() const {
  const std::lock_guard lock(mutex_);
  DeliveryState state = state_;
  state.unsaid = outbox_.unsaid();
  state.lost = outbox_.lost();
  state.refused = outbox_.refused();
  state.failures = outbox_.failures();
  if (state.error.empty() && state.refused > 0) state.error = refusal_;
  return state;
}

void AlertmanagerSink::run() {
  std::unique_lock lock(mutex_);
  while (wait_until_due(lock)) post(lock, options_.timeout_s);
  cancel_ = false;
  const uint64_t until_ms = monotonic_ms() + static_cast<uint64_t>(kLastWordS * 1000);
  for (uint64_t now_ms = monotonic_ms(); outbox_.unsaid() > 0 && now_ms < until_ms;
       now_ms = monotonic_ms()) {
    if (outbox_.batch(now_ms).empty()) break;  // what is left has been refused
    post(lock, std::min(options_.timeout_s, static_cast<double>(until_ms - now_ms) / 1000));
    if (outbox_.failures() > 0) break;
  }
  if (outbox_.unsaid() > 0) {
    spdlog::error("alertmanager: {} alarms could not be delivered to {}: {}", outbox_.unsaid(),
                  options_.url, state_.error);
  }
}

// False: to end.
bool AlertmanagerSink::wait_until_due(std::unique_lock<std::mutex>& lock) {
  while (!stop_) {
    const auto due_ms = outbox_.due_ms();
    const uint64_t now_ms = monotonic_ms();
    if (due_ms && *due_ms <= now_ms) return true;
    if (due_ms) {
      changed_.wait_for(lock, milliseconds(*due_ms - now_ms));
    } else {
      changed_.wait(lock);
    }
  }
  return false;
}

void AlertmanagerSink::post(std::unique_lock<std::mutex>& lock, double timeout_s) {
  const auto batch = outbox_.batch(monotonic_ms());
  lock.unlock();
  const std::string body = alerts::alertmanager_payload(
      batch, unix_ms() + holds_ms(options_.limits), options_.generator_url);
  const PostResult result = http_post(options_.url + "/api/v2/alerts", body, timeout_s, cancel_);
  lock.lock();
  if (result.error.empty()) {
    outbox_.delivered(batch, monotonic_ms());
    ++state_.posts;
  } else if (is_refusal(result.status)) {
    if (outbox_.refused(batch, monotonic_ms())) note_refusal(batch[0], result.error);
    return;
  } else {
    outbox_.failed(monotonic_ms());
  }
  note(result.error);
}

// Once for each alarm in its present state, not each time.
void AlertmanagerSink::note_refusal(const alerts::Alarm& alarm, const std::string& error) {
  refusal_ = error;
  const auto name = alarm.labels.find("alertname");
  spdlog::error("alertmanager: {} refuses the alarm {}: {}; {}", options_.url,
                name == alarm.labels.end() ? "" : name->second, error,
                state_.posts > 0 ? "others go on, and it is tried again"
                                 : "it has taken none so far: see alerts.alertmanager.url");
}

// Said when it begins and when it is over, not each time.
void AlertmanagerSink::note(const std::string& error) {
  if (!error.empty() && state_.error.empty() && !stop_) {
    spdlog::warn(
        "alertmanager: {} does not take alarms: {}; they are kept and tried again; see "
        "alerts.alertmanager.url",
        options_.url, error);
  } else if (error.empty() && !state_.error.empty()) {
    spdlog::info("alertmanager: {} takes alarms again", options_.url);
  }
  state_.error = error;
  if (outbox_.lost() != lost_said_ && error.empty()) {
    lost_said_ = outbox_.lost();
    spdlog::error(
        "alertmanager: {} alarms lost so far, for want of room; see "
        "alerts.alertmanager.alarms_max",
        lost_said_);
  }
}

}  // namespace epulse::notify
