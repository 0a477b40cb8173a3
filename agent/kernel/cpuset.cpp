#include "agent/kernel/cpuset.hpp"

#include <fmt/format.h>

#include <fstream>
#include <initializer_list>
#include <optional>

namespace epulse::kernel {
namespace {

std::optional<model::CpuSet> read_list(const std::string& path) {
  std::ifstream file(path);
  std::string list;
  if (!std::getline(file, list) || list.empty()) return std::nullopt;
  return model::CpuSet::parse(list);
}

// The effective cpuset of a group or, where the controller is off for it, of the nearest ancestor.
std::optional<model::CpuSet> group_cpus(const std::string& mount, std::string group,
                                        const char* file) {
  for (;;) {
    if (auto cpus = read_list(fmt::format("{}{}/{}", mount, group, file))) return cpus;
    const size_t slash = group.rfind('/');
    if (slash == std::string::npos) return std::nullopt;
    group.resize(slash);
  }
}

}  // namespace

model::CpuSet usable_cpus(pid_t pid, const std::string& root) {
  // "0::/system.slice/x" for v2, "4:cpuset:/x" for v1.
  std::ifstream groups(fmt::format("{}/proc/{}/cgroup", root, pid));
  for (std::string line; std::getline(groups, line);) {
    const size_t first = line.find(':');
    const size_t second = line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const std::string controller = line.substr(first + 1, second - first - 1);
    const std::string group = line.substr(second + 1) == "/" ? "" : line.substr(second + 1);
    if (controller == "cpuset") {
      const auto cpus = group_cpus(root + "/sys/fs/cgroup/cpuset", group, "cpuset.effective_cpus");
      if (cpus) return *cpus;
    } else if (controller.empty()) {
      for (const char* mount : {"/sys/fs/cgroup", "/sys/fs/cgroup/unified"}) {
        if (const auto cpus = group_cpus(root + mount, group, "cpuset.cpus.effective"))
          return *cpus;
      }
    }
  }
  return read_list(root + "/sys/devices/system/cpu/online").value_or(model::CpuSet{});
}

}  // namespace epulse::kernel
