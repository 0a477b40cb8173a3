#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "agent/actuate/change.hpp"

// The journal as text, one record a line: CRC32-hex SEQ KIND fields. Pure; journal.hpp has the
// file.
namespace epulse::actuate {

// A change that is about to be made.
struct IntentRecord {
  uint64_t seq = 0;
  Change change;
  int64_t unix_time_s = 0;
  std::string reason;
  std::string origin = {};  // of its ids: origin(); empty: not known
  bool made = false;        // by the marks that follow it

  bool operator==(const IntentRecord&) const = default;
};

// How far a change has come: it was made, or is about to be undone. Tells the value from before it,
// where that is found, apart from one that somebody else has set. Need not survive more than the
// agent's own death.
struct MarkRecord {
  uint64_t seq = 0;
  bool made = false;

  bool operator==(const MarkRecord&) const = default;
};

// A change that no longer needs undoing: it was undone, or its target is gone or changed by others.
struct SettledRecord {
  enum class Kind { kUndone, kStoodDown };
  uint64_t seq = 0;
  Kind kind = Kind::kUndone;
  std::string why;

  bool operator==(const SettledRecord&) const = default;
};

using Record = std::variant<IntentRecord, MarkRecord, SettledRecord>;

// One line, its newline included.
std::string encode(const Record& record);

// `line` without its newline; nullopt when it is not exactly what encode() writes.
std::optional<Record> decode(std::string_view line);

struct JournalState {
  std::vector<IntentRecord> pending;  // oldest first
  std::vector<std::string> complaints;
  uint64_t seq_max = 0;
  bool ends_in_newline = true;
  size_t torn_bytes = 0;    // of a last line that was cut short
  bool has_damage = false;  // a complete line that does not read: it may have held an intent
};

// `name` is the file's, for complaints. A last line without a newline that does not read is a write
// that was cut short: its record had not been acknowledged, so the change was never made.
JournalState replay(std::string_view text, std::string_view name);

}  // namespace epulse::actuate
