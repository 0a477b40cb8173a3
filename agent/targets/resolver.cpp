#include "agent/targets/resolver.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <map>
#include <set>

#include "agent/error.hpp"
#include "agent/targets/cgroup.hpp"

namespace epulse::targets {
namespace {

constexpr size_t kCommMax = 15;       // TASK_COMM_LEN less its end
constexpr size_t kCandidatesMax = 5;  // named in an error

// "nginx[4711], redis-server[4712]": those that could be meant instead.
std::string candidates(const Roots& roots) {
  std::string text;
  size_t named = 0;
  for (const pid_t pid : kernel::all_pids(roots.proc)) {
    if (!kernel::has_epoll(pid, roots.proc)) continue;
    if (named == kCandidatesMax) return text + ", ...";
    text +=
        fmt::format("{}{}[{}]", named == 0 ? "" : ", ", kernel::process_name(pid, roots.proc), pid);
    ++named;
  }
  return text.empty() ? "no process here that we may look at has one" : "these have: " + text;
}

void add_descendants(std::set<pid_t>& pids, const Roots& roots) {
  std::multimap<pid_t, pid_t> children;
  for (const pid_t pid : kernel::all_pids(roots.proc)) {
    if (const auto parent = kernel::parent_of(pid, roots.proc)) children.emplace(*parent, pid);
  }
  std::vector<pid_t> unseen(pids.begin(), pids.end());
  while (!unseen.empty()) {
    const auto [first, last] = children.equal_range(unseen.back());
    unseen.pop_back();
    for (auto child = first; child != last; ++child) {
      if (pids.insert(child->second).second) unseen.push_back(child->second);
    }
  }
}

std::vector<pid_t> processes_of_cgroup(const std::string& path, const Roots& roots) {
  const auto directory = find_cgroup(path, roots.cgroup);
  if (!directory) {
    fail("control group {} does not exist under {}; /proc/PID/cgroup says where a process is", path,
         roots.cgroup);
  }
  std::vector<pid_t> pids = cgroup_processes(*directory);
  if (pids.empty()) fail("there is no process in control group {}", *directory);
  return pids;
}

std::string with_suffix(const std::string& unit) {
  return unit.find('.') == std::string::npos ? unit + ".service" : unit;
}

struct Find {
  std::vector<pid_t> operator()(const Pids& given) const {
    std::set<pid_t> pids;
    for (const pid_t pid : given.pids) {
      const auto process = kernel::process_of(pid, roots.proc);
      if (!process) fail("process {} does not exist; `epulse list` shows the candidates", pid);
      pids.insert(*process);
    }
    if (given.children) add_descendants(pids, roots);
    return {pids.begin(), pids.end()};
  }
  std::vector<pid_t> operator()(const Thread& thread) const {
    const auto process = kernel::process_of(thread.tid, roots.proc);
    if (!process) {
      fail("thread {} does not exist; `ls {}/PID/task` shows those of a process", thread.tid,
           roots.proc);
    }
    return {*process};
  }
  std::vector<pid_t> operator()(const Name& given) const {
    const std::string name = given.name.substr(0, kCommMax);
    std::set<pid_t> pids;
    for (const pid_t pid : kernel::all_pids(roots.proc)) {
      if (kernel::process_name(pid, roots.proc) == name) pids.insert(pid);
    }
    if (pids.empty()) {
      fail("no process is named {}; of processes with an epoll instance {}", given.name,
           candidates(roots));
    }
    add_descendants(pids, roots);
    return {pids.begin(), pids.end()};
  }
  std::vector<pid_t> operator()(const Cgroup& cgroup) const {
    return processes_of_cgroup(cgroup.path, roots);
  }
  std::vector<pid_t> operator()(const Unit& given) const {
    const std::string unit = with_suffix(given.name);
    const std::string usual = "system.slice/" + unit;
    if (find_cgroup(usual, roots.cgroup)) return processes_of_cgroup(usual, roots);
    const auto group = roots.control_group(unit);
    if (group) return processes_of_cgroup(*group, roots);
    if (access(roots.systemd.c_str(), F_OK) == 0) {
      fail(
          "unit {} has no control group: it does not run, or there is none of that name: "
          "`systemctl status {}` says which; `systemctl list-units --state=running` shows others",
          unit, unit);
    }
    fail(
        "unit {} has no control group (no {}/{}), and systemd does not run here (no {}); choose a "
        "process with -p PID: `epulse list` shows the candidates",
        unit, roots.cgroup, usual, roots.systemd);
  }
  std::vector<pid_t> operator()(const All&) const {
    std::vector<pid_t> pids = kernel::all_pids(roots.proc);
    std::erase_if(
        pids, [&](pid_t pid) { return pid == getpid() || !kernel::has_epoll(pid, roots.proc); });
    if (pids.empty()) fail("no process that we may look at has an epoll instance");
    std::sort(pids.begin(), pids.end());
    return pids;
  }

  const Roots& roots;
};

}  // namespace

std::vector<pid_t> members(const Selector& selector, const Roots& roots) {
  return std::visit(Find{roots}, selector);
}

std::vector<pid_t> resolve(const Selector& selector, const Roots& roots) {
  std::vector<pid_t> pids = members(selector, roots);
  if (!follows_children(selector)) {
    for (const pid_t pid : pids) kernel::require_event_loop(pid, roots.proc);
    return pids;
  }
  if (std::none_of(pids.begin(), pids.end(),
                   [&](pid_t pid) { return kernel::has_epoll(pid, roots.proc); })) {
    fail("{} has an epoll instance; {}",
         pids.size() == 1
             ? fmt::format("neither process {} ({}) nor a child of it", pids[0],
                           kernel::process_name(pids[0], roots.proc))
             : fmt::format("none of the {} processes, {} ({}) and others,", pids.size(), pids[0],
                           kernel::process_name(pids[0], roots.proc)),
         candidates(roots));
  }
  return pids;
}

bool follows_children(const Selector& selector) {
  if (const auto* pids = std::get_if<Pids>(&selector)) return pids->children;
  return !std::holds_alternative<Thread>(selector);
}

bool is_open(const Selector& selector) {
  return std::holds_alternative<Cgroup>(selector) || std::holds_alternative<Unit>(selector) ||
         std::holds_alternative<All>(selector);
}

}  // namespace epulse::targets
