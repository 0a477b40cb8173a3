#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <vector>

namespace epulse::targets {

// The directory of a control group: `path` as it is when it lies under `root`, else below `root`,
// or below the one hierarchy there that holds every process (the v2 of a hybrid host, or systemd's
// own). Nullopt when there is none.
std::optional<std::string> find_cgroup(const std::string& path, const std::string& root);

// The processes in the group and in those below it, ascending. Empty when it is gone.
std::vector<pid_t> cgroup_processes(const std::string& directory);

}  // namespace epulse::targets
