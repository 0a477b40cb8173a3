#include "agent/actuate/actuator.hpp"

#include <algorithm>
#include <chrono>

#include "agent/actuate/server_setting.hpp"
#include "agent/actuate/socket_buffer.hpp"
#include "agent/actuate/thread_affinity.hpp"
#include "agent/error.hpp"

namespace epulse::actuate {
namespace {

int64_t unix_time_s() {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return std::chrono::duration_cast<std::chrono::seconds>(now).count();
}

// What cannot be told is not gone.
bool is_gone(const IntentRecord& intent) {
  try {
    return std::visit([](const auto& c) { return actuate::is_gone(c); }, intent.change);
  } catch (const Error&) {
    return false;
  }
}

}  // namespace

std::vector<IntentRecord> in_force(std::vector<IntentRecord> pending) {
  std::erase_if(pending, [](const IntentRecord& intent) { return is_gone(intent); });
  return pending;
}

uint64_t Actuator::apply(const Change& change, std::string_view reason) {
  const Change prepared = std::visit([](const auto& c) -> Change { return prepare(c); }, change);
  const uint64_t seq = journal_.append_intent(prepared, reason, unix_time_s());
  try {
    std::visit([](const auto& c) { perform(c); }, prepared);
  } catch (const Error& error) {
    clear_up(seq, error.what());
    throw;
  }
  return seq;
}

// A change that failed may have been made in part, so it is undone before it counts as not made.
// What cannot be cleared up now stays pending, for undo_all() or the next start.
void Actuator::clear_up(uint64_t seq, std::string_view why) {
  const auto& all = journal_.pending();
  const auto at = std::find_if(all.begin(), all.end(),
                               [&](const IntentRecord& intent) { return intent.seq == seq; });
  if (at == all.end()) return;
  try {
    std::visit([](const auto& c) { actuate::undo(c); }, at->change);
    journal_.append_settled(seq, SettledRecord::Kind::kUndone, fmt::format("not made: {}", why));
  } catch (const Error&) {
    // The first error is the one to report.
  }
}

Outcome Actuator::undo(uint64_t seq) {
  const auto& all = journal_.pending();
  const auto at = std::find_if(all.begin(), all.end(),
                               [&](const IntentRecord& intent) { return intent.seq == seq; });
  if (at == all.end()) fail("change {} is not in force: nothing to undo", seq);
  const auto later = std::find_if(at + 1, all.end(), [&](const IntentRecord& intent) {
    return same_target(intent.change, at->change);
  });
  if (later != all.end()) {
    fail("change {} cannot be undone before change {}, a later one to the same {}", seq, later->seq,
         target_text(at->change));
  }
  return undo_one(*at);
}

std::vector<Outcome> Actuator::undo_all() {
  const std::vector<IntentRecord> all = journal_.pending();
  std::vector<Outcome> outcomes;
  for (auto at = all.rbegin(); at != all.rend(); ++at) outcomes.push_back(undo_one(*at));
  return outcomes;
}

std::vector<Outcome> Actuator::forget_gone(std::span<const uint64_t> spared, size_t max) {
  std::vector<IntentRecord> turn;
  for (const IntentRecord& intent : journal_.pending()) {
    const bool is_spared = std::find(spared.begin(), spared.end(), intent.seq) != spared.end();
    if (!is_spared && intent.seq > looked_at_ && turn.size() < max) turn.push_back(intent);
  }
  looked_at_ = turn.size() < max ? 0 : turn.back().seq;
  std::vector<Outcome> outcomes;
  for (const IntentRecord& intent : turn) {
    if (is_gone(intent)) outcomes.push_back(undo_one(intent));
  }
  return outcomes;
}

Outcome Actuator::undo_one(const IntentRecord& intent) {
  const uint64_t seq = intent.seq;  // `intent` may be the journal's own, which settling removes
  const Change change = intent.change;
  Undone undone;
  try {
    undone = std::visit([](const auto& c) { return actuate::undo(c); }, change);
  } catch (const Error& error) {
    undone = {UndoResult::kFailed,
              fmt::format("not restored: {}; by hand: {}", error.what(), undo_by_hand(change))};
  }
  if (undone.result != UndoResult::kFailed) {
    try {
      journal_.append_settled(seq,
                              undone.result == UndoResult::kStoodDown
                                  ? SettledRecord::Kind::kStoodDown
                                  : SettledRecord::Kind::kUndone,
                              undone.text);
    } catch (const Error& error) {
      // The undo itself counts; done once more at the next start, it finds everything in place.
      undone.text += fmt::format(" (not noted: {})", error.what());
    }
  }
  return {seq, change, undone.result, fmt::format("{}: {}", target_text(change), undone.text)};
}

}  // namespace epulse::actuate
