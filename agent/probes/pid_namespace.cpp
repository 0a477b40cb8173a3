#include "agent/probes/pid_namespace.hpp"

#include <map>

#include "agent/probes/bpf_object.hpp"
#include "agent/probes/iterator.hpp"
#include "bpf/process_list.h"
#include "process_list.skel.h"

namespace epulse::probes {

struct PidNamespace::State {
  std::vector<process_list_record> read() const {
    return read_iterator<process_list_record>(object->links.list_processes, "task");
  }

  BpfObject<process_list_bpf> object{"process_list"};
  uint32_t level = 0;
};

PidNamespace::PidNamespace(const kernel::Facts& facts) {
  if (facts.host_pid_namespace) return;
  state_ = std::make_unique<State>();
  state_->object.load();
  state_->object.attach();
  const auto processes = state_->read();
  if (processes.empty()) throw LoadError("the kernel lists no process, not even this one");
  state_->level = processes[0].reader_level;
}

PidNamespace::~PidNamespace() = default;

uint32_t PidNamespace::level() const {
  return state_ ? state_->level : 0;
}

std::vector<uint32_t> PidNamespace::to_kernel(const std::vector<pid_t>& pids) const {
  if (!state_) return {pids.begin(), pids.end()};
  std::map<uint32_t, uint32_t> kernel_tgids;
  for (const auto& process : state_->read()) kernel_tgids[process.user_tgid] = process.tgid;
  std::vector<uint32_t> tgids;
  for (const pid_t pid : pids) {
    const auto found = kernel_tgids.find(static_cast<uint32_t>(pid));
    tgids.push_back(found == kernel_tgids.end() ? 0 : found->second);
  }
  return tgids;
}

}  // namespace epulse::probes
