#pragma once

#include <cstdint>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "agent/actuate/change.hpp"
#include "agent/actuate/journal.hpp"
#include "agent/actuate/outcome.hpp"
#include "agent/error.hpp"

namespace epulse::actuate {

struct Outcome {
  uint64_t seq = 0;
  Change change;
  UndoResult result = UndoResult::kRestored;
  std::string text;  // one line: "thread 4711 (ws-worker-1): CPUs 1 -> 0 restored"
};

// The target is somebody else's now: it is left alone.
class Overruled : public Error {
 public:
  using Error::Error;
};

// Nothing can be noted before it is changed, so nothing is changed.
class JournalError : public Error {
 public:
  using Error::Error;
};

// Of these, the changes that are in force, or may be: whose target is there, and has not been set
// to something else since.
std::vector<IntentRecord> in_force(const std::vector<IntentRecord>& pending);

struct LeftAlone {
  IntentRecord intent;
  std::string why;  // "it has ended"
};

// What an undo would do, without doing it.
struct Preview {
  std::vector<IntentRecord> undone;
  std::vector<LeftAlone> left_alone;
};
Preview preview(const std::vector<IntentRecord>& pending);

// Makes changes and undoes them. Every change is in the journal, on disk, before it is made, so
// that after any death of the agent the next one finds and undoes it.
class Actuator {
 public:
  // Takes the journal's lock: throws when another process holds it.
  explicit Actuator(const std::string& state_dir) : journal_(state_dir) {}

  // Returns the change's number. Throws, with nothing changed, when the target is not as the change
  // expects or the system refuses; JournalError when the journal cannot be written; and, for as
  // long as it lives, Overruled when somebody else has changed the target since an earlier change.
  uint64_t apply(const Change& change, std::string_view reason);

  // Throws when `seq` is not pending, or a later change to the same target must be undone first.
  Outcome undo(uint64_t seq);

  // The latest first. What cannot be undone is in the list as kFailed and stays pending.
  std::vector<Outcome> undo_all();

  // At start, before the first apply(): undoes what an agent that died left behind.
  std::vector<Outcome> recover() { return undo_all(); }

  // Changes that failed, may have been made in part, and could not be undone yet: since the last
  // call.
  std::vector<uint64_t> take_half_made() { return std::exchange(half_made_, {}); }

  // Whether the target still has what the change has set; true where that cannot be told.
  bool holds(uint64_t seq) const;

  // Throws where nothing can be written to the journal, and where there is no room in it now.
  void require_writable() const { journal_.require_writable(); }
  void require_room() { journal_.require_room(); }

  // Takes changes off the journal whose thread, process or socket is gone, or was found twice in a
  // row to be set to something else, but for those of `spared`. Looks at so many at a time, each in
  // its turn. Returns what it said good-bye to.
  std::vector<Outcome> forget_settled(std::span<const uint64_t> spared, size_t max);

  const std::vector<IntentRecord>& pending() const { return journal_.pending(); }
  bool is_pending(uint64_t seq) const { return find(seq) != nullptr; }

  // Journal lines that could not be read; to be logged once after construction.
  const std::vector<std::string>& complaints() const { return journal_.complaints(); }

 private:
  const IntentRecord* find(uint64_t seq) const;
  std::vector<uint64_t> changes_of(const Change& target) const;  // the latest first
  void refuse_if_overruled(const Change& change);
  uint64_t announce(const Change& change, std::string_view reason);
  void clear_up(uint64_t seq, std::string_view why);
  bool is_others(const IntentRecord& intent, Standing standing);
  std::vector<Outcome> stand_down(const std::vector<uint64_t>& latest_first);
  std::vector<Outcome> undo_in_order(const std::vector<uint64_t>& latest_first);
  bool is_overruled(const Change& change) const;
  Outcome undo_one(const IntentRecord& intent);
  Outcome settle(const IntentRecord& intent, Undone undone);

  Journal journal_;
  std::vector<Change> overruled_;  // by somebody else: their targets are left alone
  std::set<uint64_t> doubted_;     // somebody else's, it seemed when last looked at
  std::vector<uint64_t> half_made_;
  uint64_t looked_at_ = 0;  // the last one that forget_settled() came to
};

}  // namespace epulse::actuate
