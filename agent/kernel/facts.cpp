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

void read_btf(Facts& facts) {
  const std::unique_ptr<btf, decltype(&btf__free)> kernel(btf__load_vmlinux_btf(), btf__free);
  if (!kernel || libbpf_get_error(kernel.get()) != 0) return;
  facts.btf = true;
  const auto has_type = [&](const char* name, uint32_t kind) {
    return btf__find_by_name_kind(kernel.get(), name, kind) > 0;
  };
  facts.tp_sk_data_ready = has_type("btf_trace_sk_data_ready", BTF_KIND_TYPEDEF);
  facts.tp_sched_waking = has_type("btf_trace_sched_waking", BTF_KIND_TYPEDEF);
  facts.tp_sched_switch = has_type("btf_trace_sched_switch", BTF_KIND_TYPEDEF);
  facts.tp_sys_enter = has_type("btf_trace_sys_enter", BTF_KIND_TYPEDEF);
  facts.tp_sys_exit = has_type("btf_trace_sys_exit", BTF_KIND_TYPEDEF);
  facts.iter_task_file = has_type("bpf_iter__task_file", BTF_KIND_STRUCT);
}

}  // namespace

Facts detect() {
  Facts facts;
  utsname names{};
  uname(&names);
  facts.release = names.release;
  facts.arch = names.machine;
  facts.effective_root = geteuid() == 0;
  // PROC_PID_INIT_INO, include/linux/proc_ns.h: the inode of the first pid namespace.
  constexpr ino_t kInitialPidNamespace = 0xEFFFFFFC;
  struct stat pid_namespace {};
  facts.host_pid_namespace = stat("/proc/self/ns/pid", &pid_namespace) != 0 ||
                             pid_namespace.st_ino == kInitialPidNamespace;
  facts.lockdown_confidentiality =
      first_line("/sys/kernel/security/lockdown").find("[confidentiality]") != std::string::npos;
  // "0 0 0" on a kernel that keeps no scheduler statistics.
  const std::string schedstat = first_line("/proc/self/schedstat");
  facts.schedstat = !schedstat.empty() && schedstat != "0 0 0";

  const auto addresses = kernel_addresses({"ep_poll_callback", "ep_eventpoll_poll"});
  facts.ep_poll_callback = addresses.find("ep_poll_callback")->second;
  facts.ep_eventpoll_poll = addresses.find("ep_eventpoll_poll")->second;

  libbpf_set_print(nullptr);
  facts.bpf_errno = errno_of_creating_a_map();
  read_btf(facts);
  if (facts.bpf_errno == 0) {
    facts.task_storage = libbpf_probe_bpf_map_type(BPF_MAP_TYPE_TASK_STORAGE, nullptr) == 1;
    facts.ring_buffer = libbpf_probe_bpf_map_type(BPF_MAP_TYPE_RINGBUF, nullptr) == 1;
  }
  return facts;
}

}  // namespace epulse::kernel
