#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "agent/actuate/journal_format.hpp"
#include "common/unique_fd.hpp"

namespace epulse::actuate {

// Makes the directory (0700) where there is none. Throws Error when it cannot be used, or others
// may write there: who can could make a later undo change threads of their choice.
UniqueFd open_state_dir(const std::string& dir);

// The write-ahead journal of changes, DIR/journal, and the lock, DIR/lock, that one process at a
// time holds while it may change anything. A record is on disk when append_*() returns; when it
// throws, the change must not be made.
class Journal {
 public:
  // Creates the directory (0700) and files, takes the lock and reads what an earlier process left.
  explicit Journal(const std::string& state_dir);

  // Throws Error where the file system lets nothing be written: no change may be made.
  void require_writable() const;
  // ... and where it has no room for a record, which may change.
  void require_room();

  // Returns the sequence number.
  uint64_t append_intent(const Change& change, std::string_view reason, int64_t unix_time_s);
  // How far a change has come. Where it cannot be noted, the change counts as not made.
  void mark(uint64_t seq, bool made);
  // The last one to be settled empties the file; before that it is written anew where it has grown.
  void append_settled(uint64_t seq, SettledRecord::Kind kind, std::string_view why);

  const std::vector<IntentRecord>& pending() const { return state_.pending; }
  // Lines that could not be read, said once each.
  const std::vector<std::string>& complaints() const { return state_.complaints; }

  // What is pending, without the lock: for a report while the daemon runs. A journal that does not
  // exist is an empty one.
  static JournalState read(const std::string& state_dir);
  // Those that had damaged lines, each set aside when nothing else in it was left to undo.
  static std::vector<std::string> set_aside(const std::string& state_dir);
  // Whether a process holds the lock: what is pending is then its own to undo.
  static bool is_held(const std::string& state_dir);

 private:
  void append(std::string line, bool durable = true);
  void write_at_end(const UniqueFd& file, off_t end, std::string_view text) const;
  void cut_torn_tail();
  void compact();
  void set_file_aside() const;
  void shrink();

  std::string dir_;
  std::string path_;
  UniqueFd dir_fd_;
  UniqueFd lock_;
  UniqueFd file_;
  bool writable_ = true;  // else what is pending can still be undone
  off_t size_ = 0;
  off_t shrunk_to_ = 0;  // when it was written anew
  bool broken_ = false;  // an fsync failed: what later ones say proves nothing
  JournalState state_;
};

}  // namespace epulse::actuate
