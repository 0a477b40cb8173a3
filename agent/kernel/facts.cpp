#include "agent/kernel/facts.hpp"

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <cerrno>
#include <fstream>
#include <memory>

#include "agent/kernel/kallsyms.hpp"
#include "agent/kernel/process.hpp"
#include "agent/kernel/tracepoint_ids.hpp"

namespace epulse::kernel {
namespace {

std::string first_line(const char* path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

int errno_of_creating_a_map() {
  const int map = bpf_map_create(BPF_MAP_TYPE_ARRAY, "epulse_detect", 4, 4, 1, nullptr);
  if (map < 0) return errno;
  close(map);
  return 0;
}

void read_btf(Facts& facts, const btf* kernel) {
  const auto has_type = [&](const char* name, uint32_t kind) {
    return btf__find_by_name_kind(kernel, name, kind) > 0;
  };
  facts.tp_sk_data_ready = has_type("btf_trace_sk_data_ready", BTF_KIND_TYPEDEF);
  facts.tp_sched_waking = has_type("btf_trace_sched_waking", BTF_KIND_TYPEDEF);
  facts.tp_sched_switch = has_type("btf_trace_sched_switch", BTF_KIND_TYPEDEF);
  facts.tp_sys_enter = has_type("btf_trace_sys_enter", BTF_KIND_TYPEDEF);
  facts.tp_sys_exit = has_type("btf_trace_sys_exit", BTF_KIND_TYPEDEF);
  facts.iter_task_file = has_type("bpf_iter__task_file", BTF_KIND_STRUCT);
  facts.rdonly_cast = has_type("bpf_rdonly_cast", BTF_KIND_FUNC);
}

// Of attaching a program that does nothing to a function that is seldom called, for an instant.
int errno_of_a_trampoline(const btf* kernel) {
  const int function = btf__find_by_name_kind(kernel, "do_epoll_create", BTF_KIND_FUNC);
  if (function < 0) return ENOENT;
  const bpf_insn nothing[] = {
      {.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .src_reg = 0, .off = 0, .imm = 0},
      {.code = BPF_JMP | BPF_EXIT, .dst_reg = 0, .src_reg = 0, .off = 0, .imm = 0}};
  bpf_prog_load_opts options{};
  options.sz = sizeof options;
  options.expected_attach_type = BPF_TRACE_FENTRY;
  options.attach_btf_id = static_cast<uint32_t>(function);
  const int program =
      bpf_prog_load(BPF_PROG_TYPE_TRACING, "epulse_detect", "GPL", nothing, 2, &options);
  if (program < 0) return errno;
  const int link = bpf_raw_tracepoint_open(nullptr, program);
  const int error = link < 0 ? errno : 0;
  if (link >= 0) close(link);
  close(program);
  return error;
}

}  // namespace

Facts detect() {
  Facts facts;
  utsname names{};
  uname(&names);
  facts.release = names.release;
  facts.arch = names.machine;
  facts.effective_root = geteuid() == 0;
  facts.host_pid_namespace = in_host_pid_namespace();
  char self[16] = {};
  const ssize_t length = readlink("/proc/self", self, sizeof(self) - 1);
  facts.own_proc = length < 0 || std::to_string(getpid()) == self;
  facts.lockdown_confidentiality =
      first_line("/sys/kernel/security/lockdown").find("[confidentiality]") != std::string::npos;
  // "0 0 0" on a kernel that keeps no scheduler statistics.
  const std::string schedstat = first_line("/proc/self/schedstat");
  facts.schedstat = !schedstat.empty() && schedstat != "0 0 0";

  facts.functions =
      kernel_addresses({"ep_poll_callback", "ep_eventpoll_poll", "do_epoll_wait", "do_epoll_create",
                        "ep_send_events", "ep_send_events_proc", "ep_done_scan", "sock_poll"});
  facts.syscall_tracepoints = epoll_syscall_tracepoints();
  facts.kprobes = !first_line("/sys/bus/event_source/devices/kprobe/type").empty();

  libbpf_set_print(nullptr);
  facts.bpf_errno = errno_of_creating_a_map();
  const std::unique_ptr<btf, decltype(&btf__free)> kernel(btf__load_vmlinux_btf(), btf__free);
  facts.btf = kernel != nullptr && libbpf_get_error(kernel.get()) == 0;
  facts.trampoline_errno = ENOSYS;
  if (facts.btf) read_btf(facts, kernel.get());
  if (facts.bpf_errno == 0) {
    if (facts.btf) facts.trampoline_errno = errno_of_a_trampoline(kernel.get());
    facts.task_storage = libbpf_probe_bpf_map_type(BPF_MAP_TYPE_TASK_STORAGE, nullptr) == 1;
    facts.ring_buffer = libbpf_probe_bpf_map_type(BPF_MAP_TYPE_RINGBUF, nullptr) == 1;
  }
  return facts;
}

}  // namespace epulse::kernel
