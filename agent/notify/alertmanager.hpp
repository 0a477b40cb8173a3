#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "agent/alerts/outbox.hpp"

namespace epulse::notify {

struct AlertmanagerOptions {
  std::string url;  // without /api/v2/alerts
  std::string generator_url;
  double timeout_s = 5;
  alerts::OutboxLimits limits;
};

struct DeliveryState {
  size_t unsaid = 0;
  uint64_t lost = 0;
  size_t refused = 0;     // of those kept: that it will not have, although it takes others
  uint64_t posts = 0;     // that were accepted
  uint64_t failures = 0;  // in a row
  std::string error;  // of the last post, or why one of those kept was refused; empty: all is well
};

// Tells an Alertmanager (API v2) of alarms, in a thread of its own: put() never waits. What the
// receiver does not accept is said again, ever more rarely; nothing is forgotten but for want of
// room. One alarm that it refuses (400, 413, 422) holds up no other.
class AlertmanagerSink {
 public:
  explicit AlertmanagerSink(const AlertmanagerOptions& options);
  AlertmanagerSink(const AlertmanagerSink&) = delete;
  AlertmanagerSink& operator=(const AlertmanagerSink&) = delete;
  // What is unsaid is tried once more, for two seconds at most.
  ~AlertmanagerSink();

  void put(const alerts::Alarm& alarm);

  // Newer readings, by id, of what fires: it is posted with them when it is due.
  void refresh(const std::map<uint64_t, alerts::Reading>& readings);

  // What the receiver has not heard yet, for another sink to tell: nothing is left to this one.
  std::vector<alerts::Alarm> take_unsaid();

  DeliveryState state() const;

 private:
  void run();
  bool wait_until_due(std::unique_lock<std::mutex>& lock);
  void post(std::unique_lock<std::mutex>& lock, double timeout_s);
  void note(const std::string& error);
  void note_refusal(const alerts::Alarm& alarm, const std::string& error);

  AlertmanagerOptions options_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  alerts::Outbox outbox_;
  DeliveryState state_;
  uint64_t lost_said_ = 0;
  std::string refusal_;  // the last one, while there are any
  bool stop_ = false;
  std::atomic<bool> cancel_{false};  // the post that is under way
  std::thread thread_;
};

}  // namespace epulse::notify
