#include "agent/actuate/actuator.hpp"

#include <algorithm>
#include <chrono>
#include <iterator>
#include <utility>

#include "agent/actuate/origin.hpp"
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

constexpr size_t kOverruledMax = 4096;

// What cannot be told may be in force.
Standing standing_of(const IntentRecord& intent) {
  if (const auto undone = elsewhere(intent.origin)) {
    return undone->result == UndoResult::kGone ? Standing::kGone : Standing::kNew;
  }
  try {
    return std::visit([](const auto& c) { return look(c); }, intent.change);
  } catch (const Error&) {
    return Standing::kNew;
  }
}

// As standing_of(), but without asking a server, which may be stuck, so that we wait for it, and
// without a look at all processes.
Standing standing_at_a_glance(const IntentRecord& intent) {
  if (place_of(intent.origin) == Place::kOtherNamespace) return Standing::kNew;
  const auto* const setting = std::get_if<ServerSetting>(&intent.change);
  if (setting == nullptr || elsewhere(intent.origin)) return standing_of(intent);
  return is_gone(*setting) ? Standing::kGone : Standing::kNew;
}

// It was made, and has the value from before it although nobody has begun to undo it.
bool set_back_by_others(const IntentRecord& intent) {
  return intent.made && standing_of(intent) == Standing::kOld;
}

// Each once: what the latest change to a target that says anything says, holds of those before it.
// One that was announced, and whose target has the value from before it, may not have been made.
std::vector<Standing> standings(const std::vector<IntentRecord>& pending) {
  std::vector<Standing> all(pending.size(), Standing::kGone);
  std::vector<size_t> decisive;
  for (size_t i = pending.size(); i-- > 0;) {
    const auto later = std::find_if(decisive.begin(), decisive.end(), [&](size_t one) {
      return same_target(pending[one].change, pending[i].change);
    });
    if (later != decisive.end()) {
      all[i] = all[*later];
      continue;
    }
    all[i] = standing_of(pending[i]);
    if (pending[i].made || all[i] != Standing::kOld) decisive.push_back(i);
  }
  return all;
}

std::string why_left_alone(const IntentRecord& intent, Standing standing) {
  switch (standing) {
    case Standing::kGone:
      return "it has ended";
    case Standing::kOthers:
      return "somebody else has set it since";
    case Standing::kOld:
      return intent.made ? "it was set back since" : "it is as it was";
    case Standing::kNew:
      break;
  }
  return "its ids are of another pid namespace (a container?); run `epulse undo` there";
}

}  // namespace

std::vector<IntentRecord> in_force(const std::vector<IntentRecord>& pending) {
  const std::vector<Standing> standing = standings(pending);
  std::vector<IntentRecord> result;
  for (size_t i = 0; i < pending.size(); ++i) {
    if (standing[i] == Standing::kNew) result.push_back(pending[i]);
  }
  return result;
}

Preview preview(const std::vector<IntentRecord>& pending) {
  const std::vector<Standing> standing = standings(pending);
  Preview result;
  for (size_t i = 0; i < pending.size(); ++i) {
    if (standing[i] == Standing::kNew && place_of(pending[i].origin) == Place::kHere) {
      result.undone.push_back(pending[i]);
    } else {
      result.left_alone.push_back({pending[i], why_left_alone(pending[i], standing[i])});
    }
  }
  return result;
}

const IntentRecord* Actuator::find(uint64_t seq) const {
  const auto& all = journal_.pending();
  const auto at = std::find_if(all.begin(), all.end(),
                               [&](const IntentRecord& intent) { return intent.seq == seq; });
  return at == all.end() ? nullptr : &*at;
}

uint64_t Actuator::apply(const Change& change, std::string_view reason) {
  refuse_if_overruled(change);
  const Change prepared = std::visit([](const auto& c) -> Change { return prepare(c); }, change);
  const uint64_t seq = announce(prepared, reason);
  try {
    std::visit([](const auto& c) { perform(c); }, prepared);
  } catch (const Error& error) {
    clear_up(seq, error.what());
    throw;
  }
  journal_.mark(seq, true);
  return seq;
}

uint64_t Actuator::announce(const Change& change, std::string_view reason) {
  try {
    return journal_.append_intent(change, reason, unix_time_s());
  } catch (const Error& error) {
    throw JournalError(error.what());
  }
}

// A value that somebody else has set since is never overwritten, however good the reason.
void Actuator::refuse_if_overruled(const Change& change) {
  const std::vector<uint64_t> before = changes_of(change);
  if (!before.empty() && !holds(before.front())) undo_in_order(before);
  if (is_overruled(change)) {
    throw Overruled(fmt::format(
        "{}: somebody else changed it since epulsed did; it is left alone until epulsed restarts",
        target_text(change)));
  }
}

// A change that failed may have been made in part, so it is undone before it counts as not made.
// What cannot be cleared up now stays pending, for undo_all() or the next start.
void Actuator::clear_up(uint64_t seq, std::string_view why) {
  const IntentRecord* const intent = find(seq);
  if (intent == nullptr) return;
  try {
    std::visit([](const auto& c) { actuate::undo(c); }, intent->change);
    journal_.append_settled(seq, SettledRecord::Kind::kUndone, fmt::format("not made: {}", why));
  } catch (const Error&) {
    half_made_.push_back(seq);  // the first error is the one to report
  }
}

Outcome Actuator::undo(uint64_t seq) {
  const IntentRecord* const intent = find(seq);
  if (intent == nullptr) fail("change {} is not in force: nothing to undo", seq);
  const Change target = intent->change;
  const std::vector<uint64_t> all = changes_of(target);
  if (all.front() != seq) {
    fail("change {} cannot be undone before change {}, a later one to the same {}", seq,
         all.front(), target_text(target));
  }
  Outcome outcome = undo_in_order({seq}).front();
  // Nor do the earlier ones hold.
  if (outcome.result == UndoResult::kStoodDown) undo_in_order({all.begin() + 1, all.end()});
  return outcome;
}

std::vector<Outcome> Actuator::undo_all() {
  std::vector<uint64_t> latest_first;
  for (const IntentRecord& intent : journal_.pending()) latest_first.push_back(intent.seq);
  std::reverse(latest_first.begin(), latest_first.end());
  return undo_in_order(latest_first);
}

// What somebody else has set in place of a change, an earlier one to the same target must not
// overwrite either, although it may be the very value that it has set itself.
std::vector<Outcome> Actuator::undo_in_order(const std::vector<uint64_t>& latest_first) {
  std::vector<Outcome> outcomes;
  for (const uint64_t seq : latest_first) {
    const IntentRecord intent = *find(seq);
    if (is_overruled(intent.change)) {
      outcomes.push_back(settle(
          intent, {UndoResult::kStoodDown, "somebody else changed it since; it is left alone"}));
      continue;
    }
    outcomes.push_back(undo_one(intent));
    if (outcomes.back().result == UndoResult::kStoodDown) overruled_.push_back(intent.change);
  }
  if (overruled_.size() > kOverruledMax) {
    overruled_.erase(overruled_.begin(), overruled_.end() - kOverruledMax);
  }
  return outcomes;
}

bool Actuator::is_overruled(const Change& change) const {
  return std::any_of(overruled_.begin(), overruled_.end(),
                     [&](const Change& one) { return same_target(one, change); });
}

std::vector<uint64_t> Actuator::changes_of(const Change& target) const {
  std::vector<uint64_t> latest_first;
  for (const IntentRecord& intent : journal_.pending()) {
    if (same_target(intent.change, target)) latest_first.push_back(intent.seq);
  }
  std::reverse(latest_first.begin(), latest_first.end());
  return latest_first;
}

bool Actuator::holds(uint64_t seq) const {
  const IntentRecord* const intent = find(seq);
  return intent != nullptr && standing_of(*intent) == Standing::kNew;
}

std::vector<Outcome> Actuator::forget_settled(std::span<const uint64_t> spared, size_t max) {
  std::vector<IntentRecord> turn;
  for (const IntentRecord& intent : journal_.pending()) {
    const bool is_spared = std::find(spared.begin(), spared.end(), intent.seq) != spared.end();
    if (!is_spared && intent.seq > looked_at_ && turn.size() < max) turn.push_back(intent);
  }
  looked_at_ = turn.size() < max ? 0 : turn.back().seq;
  std::vector<Outcome> outcomes;
  for (const IntentRecord& intent : turn) {
    if (find(intent.seq) == nullptr) continue;  // went with a later one to the same target
    const Standing standing = standing_at_a_glance(intent);
    if (standing == Standing::kGone) {
      outcomes.push_back(undo_one(intent));
    } else if (is_others(intent, standing)) {
      for (Outcome& outcome : stand_down(changes_of(intent.change))) {
        outcomes.push_back(std::move(outcome));
      }
    }
  }
  return outcomes;
}

// Found so twice: a cpuset that is being changed tells of its CPUs before its threads have them.
bool Actuator::is_others(const IntentRecord& intent, Standing standing) {
  const bool latest = changes_of(intent.change).front() == intent.seq;
  const bool set_back = standing == Standing::kOld && intent.made;
  if (!latest || (standing != Standing::kOthers && !set_back)) {
    doubted_.erase(intent.seq);
    return false;
  }
  return !doubted_.insert(intent.seq).second;
}

std::vector<Outcome> Actuator::stand_down(const std::vector<uint64_t>& latest_first) {
  std::vector<Outcome> outcomes;
  for (const uint64_t seq : latest_first) {
    const IntentRecord intent = *find(seq);
    if (!is_overruled(intent.change)) overruled_.push_back(intent.change);
    doubted_.erase(seq);
    outcomes.push_back(settle(
        intent, {UndoResult::kStoodDown, "somebody else has set it since; it is left alone"}));
  }
  return outcomes;
}

Outcome Actuator::undo_one(const IntentRecord& intent) {
  if (auto undone = elsewhere(intent.origin)) return settle(intent, std::move(*undone));
  if (set_back_by_others(intent)) {
    return settle(intent,
                  {UndoResult::kStoodDown,
                   "it was set back since, by somebody else or by an undo that could not be noted; "
                   "it is left alone"});
  }
  journal_.mark(intent.seq, false);
  try {
    return settle(intent,
                  std::visit([](const auto& c) { return actuate::undo(c); }, intent.change));
  } catch (const Error& error) {
    return settle(intent,
                  {UndoResult::kFailed, fmt::format("not restored: {}; by hand: {}", error.what(),
                                                    undo_by_hand(intent.change))});
  }
}

// `intent` may be the journal's own, which settling removes.
Outcome Actuator::settle(const IntentRecord& intent, Undone undone) {
  const uint64_t seq = intent.seq;
  const Change change = intent.change;
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
