#include "agent/targets/cgroup.hpp"

#include <algorithm>
#include <filesystem>
#include <fstream>

namespace epulse::targets {
namespace {

namespace fs = std::filesystem;

// A file that every control group has, of version 1 and 2.
constexpr const char* kMembers = "cgroup.procs";

void add_members(const fs::path& directory, std::vector<pid_t>& pids) {
  std::ifstream members(directory / kMembers);
  // A process of a pid namespace that is not below ours shows as 0.
  for (pid_t pid = 0; members >> pid;) {
    if (pid != 0) pids.push_back(pid);
  }
}

}  // namespace

std::optional<std::string> find_cgroup(const std::string& path, const std::string& root) {
  const fs::path given(path);
  std::vector<fs::path> candidates;
  if (path == root || path.starts_with(root + "/")) {
    candidates = {given};
  } else {
    // As /proc/PID/cgroup and systemd have it, "/system.slice" is the hierarchy's, not the host's.
    const fs::path below = given.relative_path();
    for (const char* hierarchy : {"", "unified", "systemd"}) {
      candidates.push_back(fs::path(root) / hierarchy / below);
    }
  }
  std::error_code ignored;
  for (const fs::path& candidate : candidates) {
    if (fs::exists(candidate / kMembers, ignored)) return candidate.string();
  }
  return std::nullopt;
}

std::vector<pid_t> cgroup_processes(const std::string& directory) {
  std::vector<pid_t> pids;
  add_members(directory, pids);
  std::error_code error;  // groups come and go meanwhile
  for (auto at = fs::recursive_directory_iterator(directory, error);
       !error && at != fs::recursive_directory_iterator(); at.increment(error)) {
    std::error_code gone;
    if (at->is_directory(gone)) add_members(at->path(), pids);
  }
  std::sort(pids.begin(), pids.end());
  pids.erase(std::unique(pids.begin(), pids.end()), pids.end());
  return pids;
}

}  // namespace epulse::targets
