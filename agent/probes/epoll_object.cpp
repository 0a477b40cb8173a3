#include "agent/probes/epoll_object.hpp"

#include <linux/perf_event.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <initializer_list>

#include "agent/error.hpp"

namespace epulse::probes {
namespace {

// Those of a plan.
std::vector<bpf_program*> chosen_programs(const epoll_bpf& object, const EpollProbeOptions& options,
                                          const TargetConstants& target, const Plan& plan) {
  const auto& programs = object.progs;
  std::vector<bpf_program*> chosen = {programs.on_waking, programs.on_switch};
  const auto add = [&](std::initializer_list<bpf_program*> more) {
    chosen.insert(chosen.end(), more);
  };
  if (target.tgid == 0) add({programs.on_exit});
  if (options.follow_children) add({programs.on_fork});
  switch (plan.waits) {
    case WaitHook::kFunctions:
      add({programs.enter_wait, programs.exit_wait, programs.exit_create});
      break;
    case WaitHook::kSyscallTracepoints:
      add({programs.on_wait_syscall, programs.on_wait_syscall_exit,
           programs.on_create_syscall_exit});
      break;
    case WaitHook::kRawSyscalls:
      add({programs.on_syscall_enter, programs.on_syscall_exit});
      break;
  }
  const bool fentry = plan.backend == Backend::kFentry;
  if (plan.backend == Backend::kTracepoint) {
    add({programs.on_data_ready});
  } else {
    add({fentry ? programs.enter_callback : programs.probe_callback});
  }
  switch (plan.drain) {
    case DrainHook::kNone:
      break;
    case DrainHook::kSendEvents:
      add({fentry ? programs.enter_send_events : programs.probe_send_events});
      break;
    case DrainHook::kSendEventsProc:
      add({fentry ? programs.enter_send_events_proc : programs.probe_send_events_proc});
      break;
  }
  if (plan.scan_end) add({fentry ? programs.enter_done_scan : programs.probe_done_scan});
  return chosen;
}

// The constants that are fixed before load.
void configure(epoll_bpf& object, const EpollProbeOptions& options, const TargetConstants& target,
               const kernel::Facts& facts, const Plan& plan) {
  auto& constants = *object.rodata;
  constants.ep_eventpoll_poll_address = facts.address("ep_eventpoll_poll");
  constants.ep_poll_callback_address = facts.address("ep_poll_callback");
  constants.target_tgid = target.tgid;
  constants.user_pid_level = target.user_level;
  constants.exception_depth = options.exception_depth;
  constants.exception_wakeup_ns = options.exception_wakeup_ns;
  constants.sample_every = options.sample_every;
  constants.blame_from_ns = options.blame_from_ns;
  constants.fast_reads = plan.fast_reads;
  constants.task_storage = plan.task_storage;
  constants.drain_is_hooked = plan.drain != DrainHook::kNone;
  constants.scan_end_is_hooked = plan.scan_end;
}

void size_maps(const epoll_bpf& object, const EpollProbeOptions& options,
               const TargetConstants& target, const Plan& plan, uint32_t slots) {
  const auto& maps = object.maps;
  if (options.ring_bytes != 0) bpf_map__set_max_entries(maps.waits, options.ring_bytes);
  // An LRU map keeps up to 128 free elements for each CPU.
  bpf_map__set_max_entries(
      maps.blames,
      std::max(1024U, 256U * static_cast<uint32_t>(std::max(libbpf_num_possible_cpus(), 1))));
  if (target.tgid != 0) bpf_map__set_max_entries(maps.targets, 1);
  if (plan.task_storage) {
    bpf_map__set_max_entries(maps.threads_by_tid, 1);
  } else {
    bpf_map__set_autocreate(maps.threads, false);
  }
  for (bpf_map* map : {maps.workers, maps.free_slots, maps.slot_of}) {
    if (const int error = bpf_map__set_max_entries(map, slots); error != 0) {
      refuse("size the probe's maps", error);
    }
  }
}

}  // namespace

EpollObject::EpollObject(const EpollProbeOptions& options, const TargetConstants& target,
                         const kernel::Facts& facts, const Plan& plan, uint32_t slots)
    : waits_(plan.waits), syscall_tracepoints_(facts.syscall_tracepoints) {
  configure(*object_, options, target, facts, plan);
  size_maps(*object_, options, target, plan, slots);
  const std::vector<bpf_program*> chosen = chosen_programs(*object_, options, target, plan);
  bpf_program* program = nullptr;
  bpf_object__for_each_program(program, object_->obj) {
    bpf_program__set_autoload(program,
                              std::find(chosen.begin(), chosen.end(), program) != chosen.end());
  }
}

void EpollObject::attach() {
  object_.attach();
  if (waits_ != WaitHook::kSyscallTracepoints) return;
  for (const char* call : {"epoll_wait", "epoll_pwait", "epoll_pwait2"}) {
    attach_to_syscall(object_->progs.on_wait_syscall, fmt::format("sys_enter_{}", call));
    attach_to_syscall(object_->progs.on_wait_syscall_exit, fmt::format("sys_exit_{}", call));
  }
  for (const char* call : {"epoll_create", "epoll_create1"}) {
    attach_to_syscall(object_->progs.on_create_syscall_exit, fmt::format("sys_exit_{}", call));
  }
}

// A system call that this architecture or kernel does not have is left out.
void EpollObject::attach_to_syscall(bpf_program* program, const std::string& name) {
  const auto id = syscall_tracepoints_.find(name);
  if (id == syscall_tracepoints_.end()) return;
  perf_event_attr attributes{};
  attributes.type = PERF_TYPE_TRACEPOINT;
  attributes.size = sizeof(attributes);
  attributes.config = id->second;
  attributes.sample_period = 1;
  // The program hangs on the tracepoint, not on the event: it runs for every process on every CPU.
  const auto event =
      static_cast<int>(syscall(SYS_perf_event_open, &attributes, -1, 0, -1, PERF_FLAG_FD_CLOEXEC));
  if (event < 0) refuse(fmt::format("open the tracepoint {}", name), errno);
  bpf_link* link = bpf_program__attach_perf_event(program, event);
  if (link == nullptr) {
    const int error = errno;
    close(event);
    refuse(fmt::format("attach to the tracepoint {}", name), error);
  }
  links_.emplace_back(link);  // and the event with it
}

}  // namespace epulse::probes
