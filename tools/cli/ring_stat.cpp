#include "tools/cli/ring_stat.hpp"

#include <fmt/format.h>

#include <utility>

#include "agent/error.hpp"
#include "agent/kernel/process.hpp"
#include "tools/cli/uring_table.hpp"

namespace epulse::cli {
namespace {

void add_thread_names(pid_t pid, const model::UringSnapshot& interval, record::ThreadNames& names) {
  for (const model::RingUserStats& user : interval.users) {
    if (names.contains(user.key.tid)) continue;
    const auto stat = kernel::thread_stat(pid, static_cast<pid_t>(user.key.tid));
    if (stat) names[user.key.tid] = stat->name;
  }
}

}  // namespace

RingStat::RingStat(pid_t pid) : pid_(pid) {
  try {
    probe_.emplace(probes::UringProbeOptions{.tgid = pid, .wait_for_rings = true});
    intervals_.emplace(probe_->attached_ns());
  } catch (const LoadError& error) {
    if (kernel::has_ring(pid)) fmt::print("# no figures of its rings: {}\n", error.what());
  }
}

void RingStat::sample(record::ThreadNames& names, bool print) {
  if (!probe_) return;
  model::UringSnapshot interval;
  try {
    interval = intervals_->advance(probe_->read());
  } catch (const LoadError& error) {  // its first ring has come, and with it system calls to watch
    fmt::print("# no figures of its rings: {}\n", error.what());
    probe_.reset();
    return;
  }
  add_thread_names(pid_, interval, names);
  total_.add(interval);
  if (print) print_rings(interval, names);
}

void RingStat::print_summary(const record::ThreadNames& names) const {
  print_ring_summary(total_.total(), names);
}

void RingStat::add_costs(std::vector<probes::ProgramCost>& costs) const {
  if (!probe_) return;
  for (probes::ProgramCost& cost : probe_->costs()) {
    cost.name = "uring " + cost.name;
    costs.push_back(std::move(cost));
  }
}

}  // namespace epulse::cli
