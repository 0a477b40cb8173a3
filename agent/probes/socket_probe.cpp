#include "agent/probes/socket_probe.hpp"

#include <bpf/bpf.h>
#include <sys/resource.h>

#include <algorithm>
#include <set>

#include "agent/probes/bpf_object.hpp"
#include "agent/probes/iterator.hpp"
#include "sockets.skel.h"

namespace epulse::probes {
namespace {

// As many as the process may have descriptors, within reason: 88 bytes of kernel memory each.
uint32_t sockets_max(pid_t tgid) {
  rlimit limit{};
  if (prlimit(tgid, RLIMIT_NOFILE, nullptr, &limit) != 0) limit.rlim_cur = 0;
  return static_cast<uint32_t>(std::clamp<rlim_t>(limit.rlim_cur, 1024, 65'536));
}

// The kernel's BTF is read once for each; they are three.
bool autoload(bpf_program* program, const char* tracepoint) {
  const bool present = libbpf_find_vmlinux_btf_id(tracepoint, BPF_TRACE_RAW_TP) > 0;
  bpf_program__set_autoload(program, present);
  return present;
}

model::SocketHooks configure(sockets_bpf& object, const SocketProbeOptions& options,
                             const kernel::Facts& facts) {
  if (!facts.host_pid_namespace) throw LoadError("sockets are known by the host's pids only");
  if (!facts.has("sock_poll")) {
    throw LoadError("cannot tell socket files: /proc/kallsyms hides or lacks sock_poll");
  }
  auto& constants = *object.rodata;
  constants.sock_poll_address = facts.address("sock_poll");
  constants.target_tgid = static_cast<uint32_t>(options.tgid);
  constants.fast_reads = facts.rdonly_cast;
  const uint32_t room = sockets_max(options.tgid);
  if (const int error = bpf_map__set_max_entries(object.maps.known_sockets, room); error != 0) {
    refuse("size the socket probe's map", error);
  }
  const auto& programs = object.progs;
  return {.queue_full = autoload(programs.on_queue_full, "sock_rcvqueue_full"),
          .udp_queue_full = autoload(programs.on_udp_refused, "udp_fail_queue_rcv_skb"),
          .limit_hits = autoload(programs.on_limit_hit, "sock_exceed_buf_limit")};
}

model::SocketEvents copy(const __u64 (&events)[SOCKET_EVENTS]) {
  model::SocketEvents result{};
  std::copy(std::begin(events), std::end(events), result.begin());
  return result;
}

}  // namespace

struct SocketProbe::State {
  State(const SocketProbeOptions& options, const kernel::Facts& facts)
      : hooks(configure(*object, options, facts)) {
    object.load();
  }
  State(const State&) = delete;
  State& operator=(const State&) = delete;
  ~State() { bpf_link__destroy(walk); }

  void attach(pid_t tgid);
  void forget_all_but(const std::vector<socket_record>& sockets);

  BpfObject<sockets_bpf> object{"sockets"};
  model::SocketHooks hooks;
  bpf_link* walk = nullptr;
  std::set<uint64_t> known;
};

// The iterator is attached to the process alone, which kernels before 6.1 overlook: they walk the
// host.
void SocketProbe::State::attach(pid_t tgid) {
  bpf_iter_link_info process{};
  process.task.tid = static_cast<uint32_t>(tgid);
  bpf_iter_attach_opts options{};
  options.sz = sizeof options;
  options.link_info = &process;
  options.link_info_len = sizeof(process);
  walk = bpf_program__attach_iter(object->progs.list_sockets, &options);
  if (walk == nullptr) refuse("attach the task_file iterator to the process", errno);
  bpf_program__set_autoattach(object->progs.list_sockets, false);
  object.attach();
}

void SocketProbe::State::forget_all_but(const std::vector<socket_record>& sockets) {
  std::set<uint64_t> found;
  for (const socket_record& socket : sockets) {
    if (socket.known != 0) found.insert(socket.socket_id);
  }
  for (const uint64_t socket : known) {
    if (found.contains(socket)) continue;
    bpf_map_delete_elem(bpf_map__fd(object->maps.known_sockets), &socket);
  }
  known = std::move(found);
}

SocketProbe::SocketProbe(const SocketProbeOptions& options, const kernel::Facts& facts)
    : state_(std::make_unique<State>(options, facts)) {
  state_->attach(options.tgid);
  read();  // learns the sockets that are open
}

SocketProbe::~SocketProbe() = default;

model::SocketHooks SocketProbe::check_load(const kernel::Facts& facts) {
  return State({.tgid = 1}, facts).hooks;
}

model::SocketPressure SocketProbe::read() {
  model::SocketPressure pressure;
  pressure.sockets =
      model::without_duplicates(read_iterator<socket_record>(state_->walk, "task_file"));
  state_->forget_all_but(pressure.sockets);
  const auto* counters = state_->object->bss;
  pressure.events = copy(counters->known_events);
  pressure.unattributed = copy(counters->unattributed_events);
  pressure.hooks = state_->hooks;
  return pressure;
}

}  // namespace epulse::probes
