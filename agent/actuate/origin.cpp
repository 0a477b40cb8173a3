#include "agent/actuate/origin.hpp"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <charconv>
#include <string_view>

#include "agent/kernel/process.hpp"
#include "common/boot_id.hpp"

namespace epulse::actuate {
namespace {

std::optional<ino_t> pid_namespace_of(const std::string& process) {
  struct stat space {};
  if (stat(fmt::format("/proc/{}/ns/pid", process).c_str(), &space) != 0) return std::nullopt;
  return space.st_ino;
}

std::string read_origin() {
  const std::string boot = boot_id();
  const auto space = pid_namespace_of("self");
  return boot.empty() || !space ? "" : fmt::format("{}/{}", boot, *space);
}

struct Halves {
  std::string_view boot, space;
};

Halves halves(std::string_view origin) {
  const size_t slash = std::min(origin.find('/'), origin.size());
  return {origin.substr(0, slash), origin.substr(std::min(slash + 1, origin.size()))};
}

// From the first namespace all others can be seen: one without a process has ended.
bool has_ended(std::string_view space) {
  ino_t inode = 0;
  std::from_chars(space.data(), space.data() + space.size(), inode);
  if (!kernel::in_host_pid_namespace() || inode == 0) return false;
  const std::vector<pid_t> pids = kernel::all_pids();
  return !pids.empty() && std::none_of(pids.begin(), pids.end(), [&](pid_t pid) {
    if (pid == 1) return false;  // of the first, whether it may be looked at or not
    const auto theirs = pid_namespace_of(std::to_string(pid));
    // One that may not be looked at may be of it; a zombie is of none any more.
    const auto stat = theirs ? std::nullopt : kernel::thread_stat(pid, pid);
    return theirs ? *theirs == inode : stat && stat->state != 'Z' && stat->state != 'X';
  });
}

}  // namespace

const std::string& origin() {
  static const std::string here = read_origin();
  return here;
}

Place place_of(const std::string& origin) {
  const Halves here = halves(actuate::origin());
  const Halves there = halves(origin);
  if (here.boot.empty() || there.boot.empty() || there.space.empty()) return Place::kHere;
  if (there.boot != here.boot) return Place::kOtherBoot;
  return there.space == here.space ? Place::kHere : Place::kOtherNamespace;
}

std::optional<Undone> elsewhere(const std::string& origin) {
  switch (place_of(origin)) {
    case Place::kHere:
      break;
    case Place::kOtherBoot:
      return Undone{UndoResult::kGone, "the host was booted since, nothing to restore"};
    case Place::kOtherNamespace:
      if (has_ended(halves(origin).space)) {
        return Undone{UndoResult::kGone, "its pid namespace has ended, nothing to restore"};
      }
      return Undone{
          UndoResult::kFailed,
          "not restored: the change was made in another pid namespace (a container?), and "
          "its ids are of that one; run `epulse undo` there"};
  }
  return std::nullopt;
}

}  // namespace epulse::actuate
