#pragma once

#include <sys/types.h>

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "agent/kernel/process.hpp"
#include "agent/targets/selector.hpp"
#include "agent/targets/systemd.hpp"

namespace epulse::targets {

// Where the host is looked at; tests make one up.
struct Roots {
  std::string proc = kernel::kProc;
  std::string cgroup = "/sys/fs/cgroup";
  std::string systemd = "/run/systemd/system";  // is there where systemd runs: sd_booted(3)
  std::function<std::optional<std::string>(const std::string& unit)> control_group =
      control_group_of_unit;
};

// What the selector names now, ascending, whether it has an epoll instance or not. Throws Error
// when there is nothing of that name.
std::vector<pid_t> members(const Selector& selector, const Roots& roots = {});

// The same for a user who has just asked for it. Throws Error, too, when there is nothing to
// measure: no process has an epoll instance (of those given by pid, one has none).
std::vector<pid_t> resolve(const Selector& selector, const Roots& roots = {});

// Are the children of what it names watched too?
bool follows_children(const Selector& selector);
// May it come to name other processes, that are no children of the first?
bool is_open(const Selector& selector);

}  // namespace epulse::targets
