#include "tools/cli/ring_stat.hpp"

#include <fmt/format.h>

#include <utility>

#include "agent/error.hpp"
#include "agent/kernel/process.hpp"

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
    if (kernel::has_ring(pid))
      fmt::print(stderr, "epulse: no figures of its rings: {}\n", error.what());
  }
}

void RingStat::sample(record::ThreadNames& names) {
  if (!probe_) return;
  try {
    interval_ = intervals_->advance(probe_->read());
  } catch (const LoadError& error) {  // its first ring has come, and with it system calls to watch
    fmt::print(stderr, "epulse: no figures of its rings: {}\n", error.what());
    probe_.reset();
    interval_ = {};
    return;
  }
  add_thread_names(pid_, interval_, names);
  total_.add(interval_);
}

void RingStat::add_costs(std::vector<probes::ProgramCost>& costs) const {
  if (!probe_) return;
  for (probes::ProgramCost& cost : probe_->costs()) {
    cost.name = "uring " + cost.name;
    costs.push_back(std::move(cost));
  }
}

}  // namespace epulse::cli
