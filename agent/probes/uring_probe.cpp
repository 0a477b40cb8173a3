#include "agent/probes/uring_probe.hpp"

#include <bpf/bpf.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <set>
#include <span>
#include <string_view>

#include "agent/kernel/kallsyms.hpp"
#include "agent/kernel/process.hpp"
#include "agent/kernel/sched_sampler.hpp"
#include "agent/probes/bpf_object.hpp"
#include "agent/probes/iterator.hpp"
#include "agent/probes/uring_variants.hpp"
#include "uring.skel.h"

namespace epulse::probes {
namespace {

// A ring is 64 KB of kernel memory and a slot 51 KB, allocated at load. Most threads use one ring.
uint32_t rings_for(size_t threads) {
  return static_cast<uint32_t>(std::clamp<size_t>(threads + 16, 32, 1024));
}
uint32_t slots_for(size_t threads) {
  return static_cast<uint32_t>(std::clamp<size_t>(threads * 2 + 32, 64, 2048));
}

void set_size(bpf_map* map, uint32_t entries) {
  if (const int error = bpf_map__set_max_entries(map, entries); error != 0) {
    refuse("size the io_uring probe's maps", error);
  }
}

void fill_with_indices(bpf_map* stack) {
  for (uint32_t index = bpf_map__max_entries(stack); index-- > 0;) {
    bpf_map_update_elem(bpf_map__fd(stack), nullptr, &index, BPF_ANY);
  }
}

// The `users` array, mapped: reading it costs no system call.
class UserSlots {
 public:
  UserSlots(int map, uint32_t count) : count_(count) {
    void* memory = mmap(nullptr, bytes(), PROT_READ | PROT_WRITE, MAP_SHARED, map, 0);
    if (memory == MAP_FAILED) refuse("map the io_uring probe's statistics", errno);
    slots_ = static_cast<uring_user_stats*>(memory);
  }
  ~UserSlots() { munmap(slots_, bytes()); }
  UserSlots(const UserSlots&) = delete;
  UserSlots& operator=(const UserSlots&) = delete;

  std::span<uring_user_stats> all() const { return {slots_, count_}; }

 private:
  size_t bytes() const {
    const size_t page = 4096;
    return (sizeof(uring_user_stats) * count_ + page - 1) / page * page;
  }
  uint32_t count_;
  uring_user_stats* slots_ = nullptr;
};

}  // namespace

struct UringProbe::State {
  void load(pid_t process);
  struct SyscallProgram {
    bpf_program* program;
    bpf_link** link;
  };
  std::array<SyscallProgram, 4> syscall_programs() const;
  void watch_syscalls();
  std::set<uint64_t> list_rings() const;
  void forget_closed_rings(const std::set<uint64_t>& open);
  void release(uint32_t slot);

  BpfObject<uring_bpf> object{"uring"};
  std::unique_ptr<UserSlots> slots;
  pid_t tgid = 0;
  uint64_t attached_ns = 0;
  size_t used = 0;  // slots, at the last read
};

UringProbe::UringProbe(const UringProbeOptions& options) : state_(std::make_unique<State>()) {
  auto& object = state_->object;
  state_->load(options.tgid);

  for (const auto& [program, link] : state_->syscall_programs()) {
    bpf_program__set_autoattach(program, false);
  }
  state_->attached_ns = kernel::monotonic_ns();
  object.attach();
  if (!options.wait_for_rings || kernel::has_ring(options.tgid)) state_->watch_syscalls();
  __atomic_store_n(&object->bss->attached, 1, __ATOMIC_RELEASE);
  // After attach, so that a ring is either listed here or seen being created.
  state_->list_rings();
}

UringProbe::~UringProbe() = default;

void UringProbe::check_load() {
  State().load(1);
}

void UringProbe::State::load(pid_t process) {
  if (!kernel::in_host_pid_namespace()) throw LoadError("rings are known by the host's pids only");
  const UringVariants variants = uring_variants(detect_uring_tracepoints());
  if (!variants.missing.empty()) throw LoadError(variants.missing);
  const auto addresses = kernel::kernel_addresses({"io_uring_poll"});
  auto& constants = *object->rodata;
  constants.io_uring_poll_address = addresses.find("io_uring_poll")->second;
  if (constants.io_uring_poll_address == 0) {
    throw LoadError("/proc/kallsyms hides or lacks io_uring_poll");
  }
  constants.target_tgid = static_cast<uint32_t>(process);
  constants.complete_names_request = variants.complete_names_request;
  constants.complete_precedes_tail = variants.complete_precedes_tail;
  constants.syscalls_twice = variants.syscalls_twice;
  tgid = process;

  constexpr std::array<std::string_view, 3> kAlways{"list_rings", "on_syscall_enter",
                                                    "on_syscall_exit"};
  bpf_program* program = nullptr;
  bpf_object__for_each_program(program, object->obj) {
    const std::string_view name = bpf_program__name(program);
    const bool wanted = std::find(kAlways.begin(), kAlways.end(), name) != kAlways.end() ||
                        std::find(variants.programs.begin(), variants.programs.end(), name) !=
                            variants.programs.end();
    bpf_program__set_autoload(program, wanted);
  }
  const size_t threads = kernel::thread_ids(tgid).size();
  const uint32_t slot_count = slots_for(threads);
  for (bpf_map* map : {object->maps.users, object->maps.free_slots, object->maps.slot_of}) {
    set_size(map, slot_count);
  }
  for (bpf_map* map : {object->maps.rings, object->maps.free_rings, object->maps.ring_of}) {
    set_size(map, rings_for(threads));
  }
  object.load();
  slots = std::make_unique<UserSlots>(bpf_map__fd(object->maps.users), slot_count);
  fill_with_indices(object->maps.free_slots);
  fill_with_indices(object->maps.free_rings);
}

// Those that see every system call of the host; returns first, since a return without its call is
// nothing.
std::array<UringProbe::State::SyscallProgram, 4> UringProbe::State::syscall_programs() const {
  auto& progs = object->progs;
  auto& links = object->links;
  return {{{progs.on_syscall_exit, &links.on_syscall_exit},
           {progs.on_syscall_exit_again, &links.on_syscall_exit_again},
           {progs.on_syscall_enter, &links.on_syscall_enter},
           {progs.on_syscall_enter_again, &links.on_syscall_enter_again}}};
}

void UringProbe::State::watch_syscalls() {
  for (const auto& [program, link] : syscall_programs()) {
    if (!bpf_program__autoload(program)) continue;
    *link = bpf_program__attach(program);
    if (*link == nullptr) refuse("attach to system calls", errno);
  }
}

// Has the kernel walk the open files: the probe learns the target's rings, and we get the list.
std::set<uint64_t> UringProbe::State::list_rings() const {
  std::set<uint64_t> open;
  for (const auto& ring : read_iterator<uring_list_record>(object->links.list_rings, "task_file")) {
    open.insert(ring.ring_id);
  }
  return open;
}

// One that is open again under the same address is learned anew when it is used.
void UringProbe::State::forget_closed_rings(const std::set<uint64_t>& open) {
  const int map = bpf_map__fd(object->maps.ring_of);
  std::vector<uint64_t> closed;
  uint64_t id = 0;
  for (const uint64_t* last = nullptr; bpf_map_get_next_key(map, last, &id) == 0; last = &id) {
    if (!open.contains(id)) closed.push_back(id);
  }
  for (const uint64_t ring_id : closed) {
    uint32_t index = 0;
    if (bpf_map_lookup_elem(map, &ring_id, &index) != 0) continue;
    bpf_map_delete_elem(map, &ring_id);
    bpf_map_update_elem(bpf_map__fd(object->maps.free_rings), nullptr, &index, BPF_ANY);
    __atomic_fetch_sub(&object->bss->rings_known, 1, __ATOMIC_RELAXED);
  }
}

// Gives a slot back: first the key, so that nobody finds it, then the memory.
void UringProbe::State::release(uint32_t slot) {
  uring_user_stats& stats = slots->all()[slot];
  const uring_user_key key{stats.ring_id, stats.tid, 0};
  bpf_map_delete_elem(bpf_map__fd(object->maps.slot_of), &key);
  memset(&stats, 0, sizeof(stats));
  bpf_map_update_elem(bpf_map__fd(object->maps.free_slots), nullptr, &slot, BPF_ANY);
}

model::UringSnapshot UringProbe::read() {
  State& state = *state_;
  if (state.object->links.on_syscall_enter == nullptr && rings() != 0) state.watch_syscalls();
  model::UringSnapshot snapshot;
  snapshot.time_ns = kernel::monotonic_ns();
  snapshot.duration_ns = snapshot.time_ns - state.attached_ns;
  const auto slots = state.slots->all();
  // Threads may go through any number of rings, so what is closed makes room, once there is need.
  const bool crowded = state.used > slots.size() / 2 ||
                       rings() > bpf_map__max_entries(state.object->maps.ring_of) / 2;
  std::set<uint64_t> open;
  if (crowded) open = state.list_rings();
  state.used = 0;
  for (uint32_t slot = 0; slot < slots.size(); ++slot) {
    if (slots[slot].in_use == 0) continue;
    ++state.used;
    // Asked before the copy: what a thread that is gone has counted no longer changes.
    const bool ended = !kernel::thread_exists(state.tgid, static_cast<pid_t>(slots[slot].tid));
    snapshot.users.push_back(model::RingUserStats::from_raw(slots[slot]));
    if (ended || (crowded && !open.contains(slots[slot].ring_id))) state.release(slot);
  }
  if (crowded) state.forget_closed_rings(open);
  std::sort(snapshot.users.begin(), snapshot.users.end(),
            [](const auto& a, const auto& b) { return a.key < b.key; });
  const auto* counters = state.object->bss;
  snapshot.losses = {counters->rings_dropped, counters->users_dropped, counters->requests_dropped,
                     missed_runs(state.object->obj)};
  return snapshot;
}

uint64_t UringProbe::rings() const {
  return state_->object->bss->rings_known;
}

uint64_t UringProbe::attached_ns() const {
  return state_->attached_ns;
}

std::vector<ProgramCost> UringProbe::costs() const {
  return program_costs(state_->object->obj);
}

}  // namespace epulse::probes
