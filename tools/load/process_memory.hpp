#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace epulse::load {

// The memory of another process, on this machine.
class ProcessMemory {
 public:
  // Its share of what it shares with others counts (Pss); or, where its smaps_rollup may not be
  // read, all that it has mapped and in memory (Rss).
  enum class Measure : std::uint8_t { kPss, kRss };

  // `proc`: where the kernel tells of processes. Throws Error when there is nothing to be read.
  explicit ProcessMemory(pid_t pid, std::string proc = "/proc");

  pid_t pid() const { return pid_; }
  Measure measure() const { return measure_; }
  // Now. Throws Error.
  std::uint64_t bytes() const;

 private:
  std::optional<std::uint64_t> read() const;
  [[noreturn]] void explain() const;

  pid_t pid_;
  std::string folder_;
  Measure measure_ = Measure::kPss;
};

// The value of "NAME:   123 kB" among the lines of a file of /proc, in bytes.
std::optional<std::uint64_t> memory_field(std::string_view text, std::string_view name);

}  // namespace epulse::load
