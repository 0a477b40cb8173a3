#include "agent/probes/epoll_probe.hpp"

#include <bpf/bpf.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <set>
#include <span>
#include <utility>
#include <vector>

#include "agent/kernel/process.hpp"
#include "agent/kernel/sched_sampler.hpp"
#include "agent/model/wait_record.hpp"
#include "agent/probes/epoll_list.hpp"
#include "agent/probes/epoll_object.hpp"

namespace epulse::probes {
namespace {

// A slot is 60 KB of kernel memory, allocated at load. Most threads wait on one instance.
uint32_t slots_for(size_t threads) {
  return static_cast<uint32_t>(std::clamp<size_t>(threads * 2 + 64, 128, 4096));
}

// The `workers` array, mapped: reading it costs no system call.
class WorkerSlots {
 public:
  WorkerSlots(int map, uint32_t count) : count_(count) {
    void* memory = mmap(nullptr, bytes(), PROT_READ | PROT_WRITE, MAP_SHARED, map, 0);
    if (memory == MAP_FAILED) refuse("map the probe's statistics", errno);
    slots_ = static_cast<epoll_worker_stats*>(memory);
  }
  ~WorkerSlots() { munmap(slots_, bytes()); }
  WorkerSlots(const WorkerSlots&) = delete;
  WorkerSlots& operator=(const WorkerSlots&) = delete;

  std::span<epoll_worker_stats> all() const { return {slots_, count_}; }

 private:
  size_t bytes() const {
    const size_t page = 4096;
    return (sizeof(epoll_worker_stats) * count_ + page - 1) / page * page;
  }
  uint32_t count_;
  epoll_worker_stats* slots_ = nullptr;
};

}  // namespace

struct EpollProbe::State {
  State(const EpollProbeOptions& options, const kernel::Facts& facts, const Plan& plan,
        uint32_t slot_count, WaitHandler handler)
      : lister(facts),
        object(options, facts, plan, slot_count),
        on_wait(std::move(handler)),
        tgid(options.tgid),
        task_storage(plan.task_storage) {}
  ~State() {
    ring_buffer__free(ring);
    if (cost_measurement >= 0) close(cost_measurement);
  }
  State(const State&) = delete;
  State& operator=(const State&) = delete;

  using Epolls = std::set<std::pair<uint64_t, int32_t>>;  // instance, descriptor

  Epolls epolls() const;
  std::set<uint32_t> closed_slots();
  void forget_closed_instances(const Epolls& open, uint64_t time_ns);
  void release(uint32_t slot);

  EpollLister lister;
  EpollObject object;
  WaitHandler on_wait;
  model::WaitDecoder decoder;
  std::unique_ptr<WorkerSlots> slots;
  ring_buffer* ring = nullptr;
  pid_t tgid;
  bool task_storage;
  uint64_t attached_ns = 0;
  int cost_measurement = -1;
  size_t used = 0;  // slots, at the last read
};

EpollProbe::EpollProbe(const EpollProbeOptions& options, const kernel::Facts& facts,
                       const Plan& plan, WaitHandler on_wait) {
  const uint32_t slots = slots_for(kernel::thread_ids(options.tgid).size());
  state_ = std::make_unique<State>(options, facts, plan, slots, std::move(on_wait));
  EpollObject& object = state_->object;
  object.load();
  state_->slots = std::make_unique<WorkerSlots>(bpf_map__fd(object->maps.workers), slots);
  for (uint32_t slot = slots; slot-- > 0;) {
    bpf_map_update_elem(bpf_map__fd(object->maps.free_slots), nullptr, &slot, BPF_ANY);
  }
  const auto handle = [](void* context, void* data, size_t bytes) {
    auto& state = *static_cast<State*>(context);
    try {
      if (const auto wait = state.decoder.decode(data, bytes)) state.on_wait(*wait);
    } catch (const std::exception&) {
      return -ENOMEM;  // not through libbpf's C frames
    }
    return 0;
  };
  state_->ring = ring_buffer__new(bpf_map__fd(object->maps.waits), handle, state_.get(), nullptr);
  if (state_->ring == nullptr) refuse("map the probe's ring buffer", errno);
  state_->attached_ns = kernel::monotonic_ns();
  object.attach();
  // After attach, so that an instance is either listed here or seen being created.
  const std::vector<char> zeros(bpf_map__value_size(object->maps.instances));
  for (const auto& [epoll_id, epfd] : state_->epolls()) {
    bpf_map_update_elem(bpf_map__fd(object->maps.instances), &epoll_id, zeros.data(), BPF_NOEXIST);
  }
}

EpollProbe::~EpollProbe() = default;

void EpollProbe::check_load(const EpollProbeOptions& options, const kernel::Facts& facts,
                            const Plan& plan) {
  EpollObject(options, facts, plan, 1).load();
}

EpollProbe::State::Epolls EpollProbe::State::epolls() const {
  Epolls found;
  for (const epoll_list_record& epoll : lister.read()) {
    if (epoll.tgid == static_cast<uint32_t>(tgid)) found.emplace(epoll.epoll_id, epoll.epfd);
  }
  return found;
}

// A thread may go through any number of instances. The slots in use whose instance the process has
// closed since: nothing more comes for them, unless the same descriptor and address are used again.
std::set<uint32_t> EpollProbe::State::closed_slots() {
  std::set<uint32_t> in_use;
  const auto all = slots->all();
  for (uint32_t slot = 0; slot < all.size(); ++slot) {
    if (all[slot].in_use != 0) in_use.insert(slot);
  }
  const uint64_t now = kernel::monotonic_ns();
  const Epolls open = epolls();
  std::erase_if(in_use, [&](uint32_t slot) {
    return open.contains({all[slot].epoll_id, all[slot].epfd});
  });
  forget_closed_instances(open, now);
  return in_use;
}

// `open` is what was open at `time_ns`. One that is known since later is a new one at the address
// of one that is closed.
void EpollProbe::State::forget_closed_instances(const Epolls& open, uint64_t time_ns) {
  std::set<uint64_t> alive;
  for (const auto& [epoll_id, epfd] : open) alive.insert(epoll_id);
  const int map = bpf_map__fd(object->maps.instances);
  std::vector<uint64_t> closed;
  uint64_t id = 0;
  for (const uint64_t* last = nullptr; bpf_map_get_next_key(map, last, &id) == 0; last = &id) {
    if (!alive.contains(id)) closed.push_back(id);
  }
  // Not before there is need: one may be made again while we look, and would miss what is ready at
  // first.
  if (closed.size() < bpf_map__max_entries(object->maps.instances) / 2) return;
  std::vector<uint64_t> instance(bpf_map__value_size(object->maps.instances) / sizeof(uint64_t));
  for (const uint64_t key : closed) {
    if (bpf_map_lookup_elem(map, &key, instance.data()) == 0 && instance[0] < time_ns) {
      bpf_map_delete_elem(map, &key);
    }
  }
}

// Gives a dead thread's slot back: first the key, so that nobody finds it, then the memory.
void EpollProbe::State::release(uint32_t slot) {
  epoll_worker_stats& stats = slots->all()[slot];
  const epoll_worker_key key{stats.epoll_id, stats.tid, stats.epfd};
  bpf_map_delete_elem(bpf_map__fd(object->maps.slot_of), &key);
  memset(&stats, 0, sizeof(stats));
  bpf_map_update_elem(bpf_map__fd(object->maps.free_slots), nullptr, &slot, BPF_ANY);
}

model::EpollSnapshot EpollProbe::read() {
  model::EpollSnapshot snapshot;
  snapshot.time_ns = kernel::monotonic_ns();
  snapshot.duration_ns = snapshot.time_ns - state_->attached_ns;
  const auto slots = state_->slots->all();
  std::set<uint32_t> closed;
  if (state_->used > slots.size() / 2) closed = state_->closed_slots();
  state_->used = 0;
  for (uint32_t slot = 0; slot < slots.size(); ++slot) {
    if (slots[slot].in_use == 0) continue;
    ++state_->used;
    // Asked before the copy: what a thread that is gone has counted no longer changes.
    const bool ended = !kernel::thread_exists(state_->tgid, static_cast<pid_t>(slots[slot].tid));
    const model::WorkerStats& copy =
        snapshot.workers.emplace_back(model::WorkerStats::from_raw(slots[slot]));
    const bool unchanged = slots[slot].counters[EPOLL_COUNTER_WAITS] == copy.waits();
    if (ended && !state_->task_storage) {
      bpf_map_delete_elem(bpf_map__fd(state_->object->maps.threads_by_tid), &copy.key.tid);
    }
    if (ended || (closed.contains(slot) && unchanged)) state_->release(slot);
  }
  std::sort(snapshot.workers.begin(), snapshot.workers.end(),
            [](const auto& a, const auto& b) { return a.key < b.key; });
  const auto* counters = state_->object->bss;
  snapshot.losses = {counters->waits_dropped + state_->decoder.malformed(),
                     counters->workers_dropped, counters->instances_dropped};
  return snapshot;
}

std::vector<model::Blame> EpollProbe::blames() const {
  const int map = bpf_map__fd(state_->object->maps.blames);
  std::vector<model::Blame> found;
  epoll_blame_key key{};
  for (const epoll_blame_key* last = nullptr; bpf_map_get_next_key(map, last, &key) == 0;
       last = &key) {
    epoll_blame blame{};
    if (bpf_map_lookup_elem(map, &key, &blame) != 0) continue;  // pushed out by newer ones
    found.push_back({key.victim, key.culprit,
                     std::string(blame.comm, strnlen(blame.comm, sizeof(blame.comm))), blame.ns,
                     blame.times});
  }
  return found;
}

void EpollProbe::consume() {
  ring_buffer__consume(state_->ring);
}

int EpollProbe::descriptor() const {
  return ring_buffer__epoll_fd(state_->ring);
}

uint64_t EpollProbe::attached_ns() const {
  return state_->attached_ns;
}

void EpollProbe::measure_cost() {
  state_->cost_measurement = bpf_enable_stats(BPF_STATS_RUN_TIME);
  if (state_->cost_measurement < 0) {
    fail("cannot have the kernel time BPF programs: {}; run as root", errno_text(errno));
  }
}

std::vector<ProgramCost> EpollProbe::costs() const {
  std::vector<ProgramCost> costs;
  bpf_program* program = nullptr;
  bpf_object__for_each_program(program, state_->object->obj) {
    bpf_prog_info info{};
    uint32_t size = sizeof(info);
    if (bpf_obj_get_info_by_fd(bpf_program__fd(program), &info, &size) != 0) continue;
    costs.push_back({bpf_program__name(program), info.run_cnt, info.run_time_ns});
  }
  return costs;
}

}  // namespace epulse::probes
