#include "server/steering/accept_steering.hpp"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <sys/socket.h>

#include <atomic>
#include <cerrno>
#include <cstdint>
#include <thread>
#include <utility>

#include "bpf/steering.h"
#include "server/error.hpp"
#include "steering.skel.h"

namespace epulse::server {
namespace {

constexpr std::chrono::seconds kPatience{2};
constexpr std::chrono::milliseconds kRetry{5};

const char* remedy(int code) {
  if (code == EPERM || code == EACCES) return "; it needs root, or CAP_BPF and CAP_NET_ADMIN";
  if (code == ENOSYS || code == EINVAL) return "; it needs Linux 5.10 with CONFIG_BPF_SYSCALL";
  if (code == EBUSY) return "; another program has these sockets already";
  return "";
}

[[noreturn]] void refuse(const char* what, int code) {
  fail("cannot steer connections: {}: {}{}", what, errno_text(code), remedy(code));
}

// libbpf prints by itself; what matters is in the error.
int say_nothing(libbpf_print_level, const char*, va_list) {
  return 0;
}

}  // namespace

void AcceptSteering::Destroy::operator()(steering_bpf* skeleton) const {
  steering_bpf__destroy(skeleton);
}

AcceptSteering::AcceptSteering(std::vector<int> listeners) : listeners_(std::move(listeners)) {
  if (listeners_.size() > STEERING_WORKERS_MAX) {
    fail("cannot steer connections to {} workers: {} at most; give --workers", listeners_.size(),
         STEERING_WORKERS_MAX);
  }
  libbpf_set_print(say_nothing);
  skeleton_.reset(steering_bpf__open());
  if (!skeleton_) refuse("open the BPF object", errno);
  skeleton_->rodata->workers = static_cast<__u32>(listeners_.size());
  const int error = steering_bpf__load(skeleton_.get());
  if (error != 0) refuse("load the BPF program", -error);
  attach_until({});
}

// The program of whoever had the sockets meanwhile is still theirs, and has his map, which has
// them.
void AcceptSteering::attach() {
  detach();
  attach_until(std::chrono::steady_clock::now() + kPatience);
}

void AcceptSteering::attach_until(Deadline deadline) {
  try {
    for (unsigned worker = 0; worker < listeners_.size(); ++worker) give_socket(worker, deadline);
    const int program = bpf_program__fd(skeleton_->progs.choose_worker);
    // One of the group is enough: the program is the group's.
    if (setsockopt(listeners_.at(0), SOL_SOCKET, SO_ATTACH_REUSEPORT_EBPF, &program,
                   sizeof program) != 0) {
      refuse("attach the program (SO_ATTACH_REUSEPORT_EBPF)", errno);
    }
  } catch (const Error&) {
    withdraw_sockets();
    throw;
  }
}

void AcceptSteering::give_socket(unsigned worker, Deadline deadline) {
  const int map = bpf_map__fd(skeleton_->maps.listeners);
  const auto socket = static_cast<std::uint64_t>(listeners_[worker]);
  // A socket is of one such map at a time, and of a map that nobody has any more until a work queue
  // of the kernel frees it (reuseport_array_free).
  while (bpf_map_update_elem(map, &worker, &socket, BPF_ANY) != 0) {
    if (errno != EBUSY || std::chrono::steady_clock::now() >= deadline) {
      refuse("hand over a listening socket", errno);
    }
    std::this_thread::sleep_for(kRetry);
  }
  std::atomic_ref<__u32>(skeleton_->bss->loads[worker].active).store(1);
}

void AcceptSteering::detach() {
  // Fails where nothing is attached: then it is done already.
  const int unused = 0;
  setsockopt(listeners_.at(0), SOL_SOCKET, SO_DETACH_REUSEPORT_BPF, &unused, sizeof unused);
  withdraw_sockets();
}

void AcceptSteering::withdraw_sockets() {
  const int map = bpf_map__fd(skeleton_->maps.listeners);
  for (unsigned worker = 0; worker < listeners_.size(); ++worker) {
    std::atomic_ref<__u32>(skeleton_->bss->loads[worker].active).store(0);
    bpf_map_delete_elem(map, &worker);
  }
}

steering_worker* AcceptSteering::loads() const {
  return skeleton_->bss->loads;
}

}  // namespace epulse::server
