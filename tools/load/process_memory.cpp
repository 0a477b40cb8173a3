#include "tools/load/process_memory.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <fstream>
#include <sstream>
#include <utility>

#include "tools/load/error.hpp"

namespace epulse::load {
namespace {

// Empty when it cannot be read; errno says why.
std::string text_of(const std::string& path) {
  errno = 0;
  std::ifstream file(path);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

}  // namespace

std::optional<std::uint64_t> memory_field(std::string_view text, std::string_view name) {
  while (!text.empty()) {
    const std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(text.size(), line.size() + 1));
    if (!line.starts_with(name) || !line.substr(name.size()).starts_with(':')) continue;
    const std::size_t digit = line.find_first_of("0123456789");
    std::uint64_t kib = 0;
    if (digit == std::string_view::npos || !line.ends_with(" kB")) return std::nullopt;
    std::from_chars(line.data() + digit, line.data() + line.size(), kib);
    return kib * 1024;
  }
  return std::nullopt;
}

ProcessMemory::ProcessMemory(pid_t pid, std::string proc)
    : pid_(pid), folder_(fmt::format("{}/{}", std::move(proc), pid)) {
  if (read()) return;
  measure_ = Measure::kRss;
  if (!read()) explain();
}

std::uint64_t ProcessMemory::bytes() const {
  const std::optional<std::uint64_t> bytes = read();
  if (!bytes) explain();
  return *bytes;
}

std::optional<std::uint64_t> ProcessMemory::read() const {
  return measure_ == Measure::kPss ? memory_field(text_of(folder_ + "/smaps_rollup"), "Pss")
                                   : memory_field(text_of(folder_ + "/status"), "VmRSS");
}

void ProcessMemory::explain() const {
  const std::string path = folder_ + "/status";
  const std::string text = text_of(path);
  const int code = errno;
  if (!text.empty()) {
    fail(
        "cannot tell the memory of process {}: by {} it has none; is it a kernel thread, or has it "
        "ended? --memory-of wants the pid of the server",
        pid_, path);
  }
  if (code == ENOENT || code == ESRCH) {
    fail(
        "cannot tell the memory of process {}: there is none (any longer); --memory-of wants the "
        "pid of the server, on this machine and in this pid namespace",
        pid_);
  }
  fail(
      "cannot tell the memory of process {}: cannot read {}: {}; run epulse-load as the user of "
      "the server, or as root",
      pid_, path, errno_text(code));
}

}  // namespace epulse::load
