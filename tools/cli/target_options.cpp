#include "tools/cli/target_options.hpp"

#include <CLI/CLI.hpp>

#include "agent/error.hpp"
#include "tools/cli/validators.hpp"

namespace epulse::cli {
namespace {

std::vector<pid_t> pid_list(const std::string& text) {
  std::vector<pid_t> pids;
  for (const std::string& pid : CLI::detail::split(text, ',')) pids.push_back(std::stoi(pid));
  return pids;
}

}  // namespace

void add_target_options(CLI::App& command, TargetOptions& options) {
  command.add_option("-p,--pid", options.pids, "the process to watch, or several: 4711,4712")
      ->check(process_ids());
  command.add_option("-t,--tid", options.tid, "one thread of a process")->check(process_id());
  command.add_option("-C,--comm", options.name, "all processes of this name, and their children");
  command.add_option("-G,--cgroup", options.cgroup,
                     "all processes of a control group, by its path under /sys/fs/cgroup");
  command.add_option("--unit", options.unit, "all processes of a systemd unit");
  command.add_flag("-a,--all", options.all, "every process of the host that has an epoll instance");
  command.add_flag("--children", options.children, "with -p: the children too, also later ones");
}

std::optional<targets::Selector> selector_of(const TargetOptions& options) {
  std::vector<targets::Selector> given;
  if (!options.pids.empty()) {
    given.emplace_back(targets::Pids{pid_list(options.pids), options.children});
  }
  if (options.tid != 0) given.emplace_back(targets::Thread{options.tid});
  if (!options.name.empty()) given.emplace_back(targets::Name{options.name});
  if (!options.cgroup.empty()) given.emplace_back(targets::Cgroup{options.cgroup});
  if (!options.unit.empty()) given.emplace_back(targets::Unit{options.unit});
  if (options.all) given.emplace_back(targets::All{});
  if (given.size() > 1) {
    fail(
        "one kind of target at a time: -p, -t, -C, -G, --unit or -a (-p takes several: "
        "-p 4711,4712)");
  }
  if (options.children && options.tid != 0) fail("a thread has no children: --children is for -p");
  if (given.empty()) return std::nullopt;
  return given[0];
}

}  // namespace epulse::cli
