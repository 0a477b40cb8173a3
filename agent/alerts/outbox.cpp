#include "agent/alerts/outbox.hpp"

#include <algorithm>

namespace epulse::alerts {
namespace {

constexpr size_t kRefusalsMax = 10;

// Whatever has been measured in between.
bool is_same_news(const Alarm& a, const Alarm& b) {
  return a.id == b.id && a.ends_unix_ms == b.ends_unix_ms;
}

}  // namespace

void Outbox::put(const Alarm& alarm) {
  const auto known = std::find_if(entries_.begin(), entries_.end(),
                                  [&](const Entry& entry) { return entry.alarm.id == alarm.id; });
  if (known != entries_.end()) {
    *known = {alarm};
    return;
  }
  if (entries_.size() >= limits_.alarms_max) make_room();
  entries_.push_back({alarm});
}

void Outbox::refresh(const std::map<uint64_t, Reading>& readings) {
  for (Entry& entry : entries_) {
    const auto newer = readings.find(entry.alarm.id);
    if (newer != readings.end() && entry.alarm.fires()) entry.alarm.reading = newer->second;
  }
}

// What is over is missed less than what goes on.
void Outbox::make_room() {
  ++lost_;
  const auto over = std::find_if(entries_.begin(), entries_.end(),
                                 [](const Entry& entry) { return !entry.alarm.fires(); });
  entries_.erase(over != entries_.end() ? over : entries_.begin());
}

uint64_t Outbox::due_ms(const Entry& entry) const {
  if (entry.refused_ms) {
    return std::max(*entry.refused_ms + limits_.retry_ms_max, next_refused_at_ms_);
  }
  return entry.said_ms ? *entry.said_ms + limits_.resend_ms : 0;
}

std::optional<uint64_t> Outbox::due_ms() const {
  if (entries_.empty()) return std::nullopt;
  uint64_t due = UINT64_MAX;
  for (const Entry& entry : entries_) {
    due = std::min(due, due_ms(entry));
  }
  return std::max(due, retry_at_ms_);
}

std::vector<Alarm> Outbox::batch(uint64_t now_ms) const {
  std::vector<Alarm> alarms;
  for (const bool said : {false, true}) {
    for (const Entry& entry : entries_) {
      if (alarms.size() == batch_now_) return alarms;
      if (entry.refused_ms || due_ms(entry) > now_ms) continue;
      if (entry.said_ms.has_value() == said) alarms.push_back(entry.alarm);
    }
  }
  if (!alarms.empty()) return alarms;
  const auto refused = std::find_if(entries_.begin(), entries_.end(), [&](const Entry& entry) {
    return entry.refused_ms && due_ms(entry) <= now_ms;
  });
  if (refused != entries_.end()) alarms.push_back(refused->alarm);
  return alarms;
}

// While a batch was under way an alarm of it may have been resolved: then that is still unsaid.
void Outbox::delivered(const std::vector<Alarm>& batch, uint64_t now_ms) {
  failures_ = 0;
  retry_at_ms_ = 0;
  refusals_ = 0;
  batch_now_ = std::min(2 * batch_now_, limits_.batch_max);
  for (const Alarm& alarm : batch) {
    const auto entry = std::find_if(entries_.begin(), entries_.end(), [&](const Entry& one) {
      return is_same_news(one.alarm, alarm);
    });
    if (entry == entries_.end()) continue;
    if (alarm.fires()) {
      entry->said_ms = now_ms;
      entry->refused_ms.reset();
    } else {
      entries_.erase(entry);
    }
  }
}

void Outbox::failed(uint64_t now_ms) {
  const uint64_t doublings = std::min<uint64_t>(failures_, 20);
  ++failures_;
  retry_at_ms_ = now_ms + std::min(limits_.retry_ms_min << doublings, limits_.retry_ms_max);
}

bool Outbox::refused(const std::vector<Alarm>& batch, uint64_t now_ms) {
  failures_ = 0;
  retry_at_ms_ = 0;
  // As many as it takes to find one among the most: it likes none, and need not be asked at once.
  if (++refusals_ > kRefusalsMax) retry_at_ms_ = now_ms + limits_.retry_ms_min;
  if (batch.size() > 1) {
    batch_now_ = batch.size() / 2;
    return false;
  }
  next_refused_at_ms_ = now_ms + limits_.retry_ms_min;
  bool news = false;
  for (Entry& entry : entries_) {
    if (!is_same_news(entry.alarm, batch.at(0))) continue;
    news = !entry.refused_ms;
    entry.refused_ms = now_ms;
  }
  return news;
}

std::vector<Alarm> Outbox::take_unsaid() {
  std::vector<Alarm> unsaid;
  for (const Entry& entry : entries_) {
    if (!entry.said_ms) unsaid.push_back(entry.alarm);
  }
  entries_.clear();
  return unsaid;
}

size_t Outbox::refused() const {
  return static_cast<size_t>(std::count_if(entries_.begin(), entries_.end(),
                                           [](const Entry& entry) { return entry.refused_ms; }));
}

size_t Outbox::unsaid() const {
  return static_cast<size_t>(std::count_if(entries_.begin(), entries_.end(),
                                           [](const Entry& entry) { return !entry.said_ms; }));
}

}  // namespace epulse::alerts
