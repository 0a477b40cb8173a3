#include "agent/kernel/throttling.hpp"

#include <filesystem>
#include <fstream>
#include <optional>
#include <sstream>

namespace epulse::kernel {
namespace {

namespace fs = std::filesystem;

// A process's place in one hierarchy.
struct Membership {
  std::vector<fs::path> mounts;  // where the hierarchy may be, below the root
  std::string path;
};

// A line of /proc/PID/cgroup, "3:cpu,cpuacct:/path", or "0::/path" for version 2. Nullopt for a
// hierarchy without the cpu controller.
std::optional<Membership> parse(const std::string& line) {
  const size_t first = line.find(':');
  const size_t second = first == std::string::npos ? first : line.find(':', first + 1);
  if (second == std::string::npos) return {};
  const std::string controllers = line.substr(first + 1, second - first - 1);
  Membership membership{{}, line.substr(second + 1)};
  if (controllers.empty()) {
    membership.mounts = {"", "unified"};
    return membership;
  }
  std::istringstream names(controllers);
  for (std::string name; std::getline(names, name, ',');) {
    if (name != "cpu") continue;
    membership.mounts = {controllers, "cpu"};
    return membership;
  }
  return {};
}

}  // namespace

std::vector<std::string> throttling_files(pid_t pid, const std::string& proc,
                                          const std::string& root) {
  std::vector<std::string> files;
  std::ifstream cgroups(proc + "/" + std::to_string(pid) + "/cgroup");
  for (std::string line; std::getline(cgroups, line);) {
    const auto membership = parse(line);
    if (!membership) continue;
    for (const fs::path& mount : membership->mounts) {
      const fs::path top = fs::path(root) / mount;
      fs::path group = fs::path(membership->path).relative_path();
      std::error_code ignored;
      if (!fs::exists(top / group / "cpu.stat", ignored)) continue;
      for (; !group.empty(); group = group.parent_path()) {
        files.push_back((top / group / "cpu.stat").string());
      }
      files.push_back((top / "cpu.stat").string());
      break;
    }
  }
  return files;
}

Throttling read_throttling(const std::string& file) {
  Throttling throttling;
  std::ifstream stat(file);
  std::string key;
  for (uint64_t value = 0; stat >> key >> value;) {
    if (key == "nr_throttled") throttling.times = value;
    if (key == "throttled_usec") throttling.ns = value * 1000;
    if (key == "throttled_time") throttling.ns = value;  // version 1
  }
  return throttling;
}

}  // namespace epulse::kernel
