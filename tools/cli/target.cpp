#include "tools/cli/target.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "agent/error.hpp"
#include "agent/kernel/process.hpp"
#include "agent/model/text.hpp"
#include "agent/targets/resolver.hpp"

namespace epulse::cli {

Target::Target(targets::Selector selector, std::vector<pid_t> pids)
    : selector_(std::move(selector)),
      pids_(std::move(pids)),
      follow_children_(targets::follows_children(selector_)) {
  if (const auto* thread = std::get_if<targets::Thread>(&selector_)) {
    tid_ = static_cast<uint32_t>(thread->tid);
  }
}

Target::Target(const targets::Selector& selector) : Target(selector, targets::resolve(selector)) {}

Target Target::command(pid_t pid, bool children) {
  return {targets::Pids{{pid}, children}, {pid}};
}

std::string Target::title() const {
  constexpr size_t kNamed = 4;
  std::string text;
  for (size_t i = 0; i < std::min(kNamed, pids_.size()); ++i) {
    text += fmt::format("{}{}[{}]", i == 0 ? "" : ", ",
                        model::printable(kernel::process_name(pids_[i])), pids_[i]);
  }
  if (pids_.size() > kNamed) text += fmt::format(" and {} more", pids_.size() - kNamed);
  return text;
}

void Target::add_members(probes::EpollProbe& probe) const {
  if (!follow_children_) return;
  try {
    probe.add_targets(targets::members(selector_));
  } catch (const Error&) {
    // A unit that is restarted has no control group for a while.
  }
}

bool Target::refresh(probes::EpollProbe& probe) const {
  if (single()) return true;
  if (!targets::is_open(selector_)) return !probe.targets().empty();
  add_members(probe);
  return true;
}

void Target::limit(model::EpollSnapshot& interval) const {
  if (tid_ == 0) return;
  std::erase_if(interval.workers,
                [&](const model::WorkerStats& worker) { return worker.key.tid != tid_; });
}

// Blames go by the host's thread ids: elsewhere they cannot be told apart.
void Target::limit(std::vector<model::Blame>& blames) const {
  if (tid_ == 0 || !kernel::in_host_pid_namespace()) return;
  std::erase_if(blames, [&](const model::Blame& blame) { return blame.victim != tid_; });
}

bool Target::wants(const epoll_wait_record& wait) const {
  return tid_ == 0 || wait.tid == tid_;
}

void add_names(const model::EpollSnapshot& interval, record::ThreadNames& names) {
  for (const model::WorkerStats& worker : interval.workers) {
    const auto tgid = static_cast<pid_t>(worker.key.tgid);
    if (!names.contains(worker.key.tid)) {
      const auto stat = kernel::thread_stat(tgid, static_cast<pid_t>(worker.key.tid));
      if (stat) names[worker.key.tid] = stat->name;
    }
    if (!names.contains(worker.key.tgid)) {
      const std::string name = kernel::process_name(tgid);
      if (!name.empty()) names[worker.key.tgid] = name;
    }
  }
}

}  // namespace epulse::cli
