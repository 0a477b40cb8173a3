#pragma once

#include <optional>
#include <string>
#include <vector>

namespace epulse::tuners {

// One measured value, for programs to read; the sentence of evidence has it in words.
struct Figure {
  std::string name;  // unit last, as everywhere: "wakeup_us_p99"
  double value = 0;
  std::optional<double> limit{};  // what it is held against
};

// What a tuner found, and would do about it or advises somebody else to do: the same for all of
// them, so that logs, `epulse advise` and the journal need not know the tuners.
struct Proposal {
  std::string scenario;  // "TUNER.CASE", a stable name: docs/tuning.md has a section on each
  std::string target;    // "thread 4711 (ws-worker-1)"
  std::string evidence;  // a sentence
  std::vector<Figure> figures;
  std::string expected;  // what will be better, and by how much, or else it is undone
  std::string by_hand;   // the command that would do the same; where none can, the system call
  std::string bounds;    // what it stays within
};

}  // namespace epulse::tuners
