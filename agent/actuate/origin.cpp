#include "agent/actuate/origin.hpp"

#include <fmt/format.h>
#include <sys/stat.h>

#include "common/boot_id.hpp"

namespace epulse::actuate {

std::string origin() {
  struct stat space {};
  if (stat("/proc/self/ns/pid", &space) != 0) space.st_ino = 0;
  return fmt::format("{}/{}", boot_id(), space.st_ino);
}

std::optional<Undone> elsewhere(const std::string& there) {
  const std::string here = origin();
  if (there.empty() || there == here) return std::nullopt;
  if (there.substr(0, there.find('/')) != here.substr(0, here.find('/'))) {
    return Undone{UndoResult::kGone, "the host was booted since, nothing to restore"};
  }
  return Undone{
      UndoResult::kFailed,
      "not restored: the change was made in another pid namespace (a container?), and its "
      "ids are of that one; run `epulse undo` there"};
}

}  // namespace epulse::actuate
