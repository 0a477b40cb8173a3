#include "tools/load/thread_use.hpp"

#include <fmt/format.h>

#include <charconv>
#include <fstream>
#include <string>

namespace epulse::load {
namespace {

// A number at the front, and what follows it and a space.
std::optional<std::uint64_t> take_number(std::string_view& text) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{}) return std::nullopt;
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  if (text.starts_with(' ')) text.remove_prefix(1);
  return value;
}

}  // namespace

std::optional<SchedulerTimes> parse_schedstat(std::string_view text) {
  const std::optional<std::uint64_t> running = take_number(text);
  const std::optional<std::uint64_t> waiting = running ? take_number(text) : std::nullopt;
  if (!waiting) return std::nullopt;
  return SchedulerTimes{*running, *waiting};
}

std::optional<SchedulerTimes> scheduler_times(pid_t thread) {
  // A thread's own directory is there for every thread of the host, though not listed.
  std::ifstream file(fmt::format("/proc/{}/schedstat", thread));
  std::string line;
  if (!std::getline(file, line)) return std::nullopt;
  return parse_schedstat(line);
}

std::uint64_t peak_memory_bytes() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    constexpr std::string_view kPeak = "VmHWM:";
    if (line.starts_with(kPeak)) return std::stoull(line.substr(kPeak.size())) * 1024;
  }
  return 0;
}

}  // namespace epulse::load
