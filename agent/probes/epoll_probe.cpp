#include "agent/probes/epoll_probe.hpp"

#include <bpf/bpf.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <numeric>
#include <set>
#include <span>
#include <utility>
#include <vector>

#include "agent/kernel/process.hpp"
#include "agent/kernel/sched_sampler.hpp"
#include "agent/model/wait_record.hpp"
#include "agent/probes/epoll_list.hpp"
#include "agent/probes/epoll_object.hpp"
#include "agent/probes/pid_namespace.hpp"

namespace epulse::probes {
namespace {

// A slot is 60 KB of kernel memory, allocated at load. Most threads wait on one instance; processes
// that come later bring more.
uint32_t slots_for(const EpollProbeOptions& options) {
  size_t threads = 0;
  for (const pid_t tgid : options.tgids) threads += kernel::thread_ids(tgid).size();
  return static_cast<uint32_t>(
      std::clamp<size_t>(threads * 2 + 64, options.follow_children ? 256 : 128, 4096));
}

// The one target of all time, as the kernel numbers it; 0 when there are several or may be.
uint32_t single_target(const EpollProbeOptions& options, const PidNamespace& pids) {
  if (options.follow_children || options.tgids.size() != 1) return 0;
  const uint32_t tgid = pids.to_kernel(options.tgids)[0];
  if (tgid == 0) fail("process {} has ended", options.tgids[0]);
  return tgid;
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
      : pids(facts),
        single(single_target(options, pids)),
        user_single(single == 0 ? 0 : options.tgids[0]),
        lister(facts, user_single),
        object(options, {single, pids.level()}, facts, plan, slot_count),
        on_wait(std::move(handler)),
        task_storage(plan.task_storage) {}
  ~State() {
    ring_buffer__free(ring);
    measure_cost(false);
  }
  State(const State&) = delete;
  State& operator=(const State&) = delete;

  using Epolls = std::set<std::pair<uint64_t, int32_t>>;  // instance, descriptor

  Epolls epolls() const;
  // By the kernel's number: what we see.
  std::vector<epoll_list_record> instances() const;
  std::map<uint32_t, uint32_t> targets() const;
  void add_targets(const std::vector<pid_t>& tgids);
  void know_instances();
  void forget_ended_targets();
  std::set<uint32_t> closed_slots();
  void forget_closed_instances(const Epolls& open, uint64_t time_ns);
  void release(uint32_t slot);
  model::EpollLosses losses() const;
  void start_detail();
  void stop_detail();
  void measure_cost(bool wanted);

  PidNamespace pids;
  uint32_t single;    // the one target; 0: those in the map
  pid_t user_single;  // ... as we see it
  EpollLister lister;
  EpollObject object;
  WaitHandler on_wait;
  model::WaitDecoder decoder;
  std::unique_ptr<WorkerSlots> slots;
  ring_buffer* ring = nullptr;
  std::set<pid_t> refused;  // targets that found no room
  bool task_storage;
  uint64_t attached_ns = 0;
  uint64_t last_read_ns = 0;
  uint64_t detailed_ns = 0;        // in earlier rounds
  uint64_t detail_started_ns = 0;  // 0: off
  uint32_t detail_rounds = 0;
  int cost_measurement = -1;
  size_t used = 0;  // slots, at the last read
};

EpollProbe::EpollProbe(const EpollProbeOptions& options, const kernel::Facts& facts,
                       const Plan& plan, WaitHandler on_wait) {
  const uint32_t slots = slots_for(options);
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
  if (state_->single == 0) state_->add_targets(options.tgids);
  state_->start_detail();
  object.attach();
  // After attach, so that an instance is either listed here or seen being created.
  state_->know_instances();
  state_->attached_ns = state_->detail_started_ns = kernel::monotonic_ns();
}

EpollProbe::~EpollProbe() = default;

EpollProbe::State::Epolls EpollProbe::State::epolls() const {
  Epolls found;
  for (const epoll_list_record& epoll : instances()) found.emplace(epoll.epoll_id, epoll.epfd);
  return found;
}

std::vector<epoll_list_record> EpollProbe::State::instances() const {
  std::vector<epoll_list_record> found = lister.read();
  const std::map<uint32_t, uint32_t> wanted = targets();
  std::erase_if(found, [&](const epoll_list_record& one) { return !wanted.contains(one.tgid); });
  return found;
}

std::vector<epoll_list_record> EpollProbe::instances() const {
  return state_->instances();
}

std::map<uint32_t, uint32_t> EpollProbe::State::targets() const {
  std::map<uint32_t, uint32_t> found;
  if (single != 0) {
    found[single] = static_cast<uint32_t>(user_single);
    return found;
  }
  const int map = bpf_map__fd(object->maps.targets);
  uint32_t tgid = 0;
  uint32_t user_tgid = 0;
  // A key that is deleted meanwhile makes the kernel start anew, so there may be more steps than
  // keys, but not without end.
  const uint32_t steps = 4 * bpf_map__max_entries(object->maps.targets);
  const uint32_t* last = nullptr;
  for (uint32_t step = 0; step < steps && bpf_map_get_next_key(map, last, &tgid) == 0; ++step) {
    if (bpf_map_lookup_elem(map, &tgid, &user_tgid) == 0) found[tgid] = user_tgid;
    last = &tgid;
  }
  return found;
}

void EpollProbe::State::add_targets(const std::vector<pid_t>& tgids) {
  const int map = bpf_map__fd(object->maps.targets);
  const std::vector<uint32_t> kernel_tgids = pids.to_kernel(tgids);
  for (size_t i = 0; i < tgids.size(); ++i) {
    const auto user_tgid = static_cast<uint32_t>(tgids[i]);
    if (kernel_tgids[i] == 0) continue;  // gone
    if (bpf_map_update_elem(map, &kernel_tgids[i], &user_tgid, BPF_ANY) != 0) {
      refused.insert(tgids[i]);
    }
  }
}

void EpollProbe::State::know_instances() {
  // As know_instance() in bpf/epoll/workers.h.
  epoll_instance unused{};
  unused.known_ns = unused.drains = kernel::monotonic_ns();
  unused.detail_round = object->bss->detail_round;
  for (const auto& [epoll_id, epfd] : epolls()) {
    bpf_map_update_elem(bpf_map__fd(object->maps.instances), &epoll_id, &unused, BPF_NOEXIST);
  }
}

// The kernel forgets those whose end it sees; one that ended before it was added is left to us.
void EpollProbe::State::forget_ended_targets() {
  if (single != 0) return;
  for (const auto& [tgid, user_tgid] : targets()) {
    const auto pid = static_cast<pid_t>(user_tgid);
    if (kernel::thread_exists(pid, pid)) continue;
    bpf_map_delete_elem(bpf_map__fd(object->maps.targets), &tgid);
  }
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
  for (const uint64_t key : closed) {
    epoll_instance instance{};
    if (bpf_map_lookup_elem(map, &key, &instance) == 0 && instance.known_ns < time_ns) {
      bpf_map_delete_elem(map, &key);
    }
  }
}

model::EpollLosses EpollProbe::State::losses() const {
  const auto* counters = object->bss;
  const uint32_t zero = 0;
  // Of each CPU that there may be.
  std::vector<uint64_t> dropped(static_cast<size_t>(std::max(libbpf_num_possible_cpus(), 1)));
  if (bpf_map_lookup_elem(bpf_map__fd(object->maps.waits_dropped), &zero, dropped.data()) != 0) {
    fail("cannot read what the probe has lost: {}", errno_text(errno));
  }
  return {std::accumulate(dropped.begin(), dropped.end(), decoder.malformed()),
          counters->workers_dropped,
          counters->instances_dropped,
          counters->targets_dropped + refused.size(),
          missed_runs(object->obj),
          dropped};
}

void EpollProbe::State::start_detail() {
  object->bss->waiting_for_cpu = 0;
  detail_started_ns = kernel::monotonic_ns();
  object->bss->detail_round = ++detail_rounds;
}

void EpollProbe::State::stop_detail() {
  object->bss->detail_round = 0;
  // What came after the last read is in the next interval, which has none else.
  detailed_ns += std::max(last_read_ns, detail_started_ns) - detail_started_ns;
  detail_started_ns = 0;
}

void EpollProbe::State::measure_cost(bool wanted) {
  if (wanted == (cost_measurement >= 0)) return;
  if (wanted) {
    cost_measurement = bpf_enable_stats(BPF_STATS_RUN_TIME);
    if (cost_measurement < 0) {
      fail("cannot have the kernel time BPF programs: {}; run as root", errno_text(errno));
    }
  } else {
    close(cost_measurement);
    cost_measurement = -1;
  }
}

// Gives a dead thread's slot back: first the key, so that nobody finds it, then the memory.
void EpollProbe::State::release(uint32_t slot) {
  epoll_worker_stats& stats = slots->all()[slot];
  const epoll_worker_key key{stats.epoll_id, stats.kernel_tid, stats.epfd};
  bpf_map_delete_elem(bpf_map__fd(object->maps.slot_of), &key);
  memset(&stats, 0, sizeof(stats));
  bpf_map_update_elem(bpf_map__fd(object->maps.free_slots), nullptr, &slot, BPF_ANY);
}

model::EpollSnapshot EpollProbe::read() {
  model::EpollSnapshot snapshot;
  snapshot.time_ns = state_->last_read_ns = kernel::monotonic_ns();
  snapshot.duration_ns = snapshot.time_ns - state_->attached_ns;
  snapshot.detailed_ns = state_->detailed_ns;
  if (state_->detail_started_ns != 0) {
    snapshot.detailed_ns += snapshot.time_ns - state_->detail_started_ns;
  }
  const auto slots = state_->slots->all();
  std::set<uint32_t> closed;
  if (state_->used > slots.size() / 2) closed = state_->closed_slots();
  state_->used = 0;
  for (uint32_t slot = 0; slot < slots.size(); ++slot) {
    if (slots[slot].in_use == 0) continue;
    ++state_->used;
    // Asked before the copy: what a thread that is gone has counted no longer changes.
    const uint32_t kernel_tid = slots[slot].kernel_tid;
    const bool ended = !kernel::thread_exists(static_cast<pid_t>(slots[slot].tgid),
                                              static_cast<pid_t>(slots[slot].tid));
    const model::WorkerStats& copy =
        snapshot.workers.emplace_back(model::WorkerStats::from_raw(slots[slot]));
    const bool unchanged = slots[slot].counters[EPOLL_COUNTER_WAITS] == copy.waits();
    if (ended && !state_->task_storage) {
      bpf_map_delete_elem(bpf_map__fd(state_->object->maps.threads_by_tid), &kernel_tid);
    }
    if (ended || (closed.contains(slot) && unchanged)) state_->release(slot);
  }
  std::sort(snapshot.workers.begin(), snapshot.workers.end(),
            [](const auto& a, const auto& b) { return a.key < b.key; });
  snapshot.losses = state_->losses();
  return snapshot;
}

std::vector<model::Blame> EpollProbe::blames() const {
  const int map = bpf_map__fd(state_->object->maps.blames);
  std::map<std::pair<uint32_t, uint32_t>, model::Blame> found;
  epoll_blame_key key{};
  const epoll_blame_key* last = nullptr;
  // One that is pushed out by newer ones meanwhile makes the kernel start anew: not without end.
  const uint32_t steps = 4 * bpf_map__max_entries(state_->object->maps.blames);
  for (uint32_t step = 0; step < steps && bpf_map_get_next_key(map, last, &key) == 0; ++step) {
    last = &key;
    epoll_blame blame{};
    if (bpf_map_lookup_elem(map, &key, &blame) != 0) continue;
    found.insert_or_assign(
        {key.victim, key.culprit},
        model::Blame{key.victim, key.culprit,
                     std::string(blame.comm, strnlen(blame.comm, sizeof(blame.comm))), blame.ns,
                     blame.times});
  }
  std::vector<model::Blame> blames;
  blames.reserve(found.size());
  for (auto& [pair, blame] : found) blames.push_back(std::move(blame));
  return blames;
}

void EpollProbe::add_targets(const std::vector<pid_t>& tgids) {
  const std::vector<pid_t> known = targets();
  std::vector<pid_t> others = tgids;
  std::erase_if(others,
                [&](pid_t tgid) { return std::binary_search(known.begin(), known.end(), tgid); });
  if (others.empty()) return;
  state_->add_targets(others);
  state_->know_instances();
}

std::vector<pid_t> EpollProbe::targets() {
  state_->forget_ended_targets();
  std::vector<pid_t> pids;
  for (const auto& [tgid, user_tgid] : state_->targets()) {
    pids.push_back(static_cast<pid_t>(user_tgid));
  }
  std::sort(pids.begin(), pids.end());
  return pids;
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

void EpollProbe::set_detail(bool wanted) {
  if (wanted == (state_->detail_started_ns != 0)) return;
  if (wanted) {
    state_->start_detail();
  } else {
    state_->stop_detail();
  }
}

void EpollProbe::measure_cost(bool wanted) {
  state_->measure_cost(wanted);
}

std::vector<ProgramCost> EpollProbe::costs() const {
  return program_costs(state_->object->obj);
}

}  // namespace epulse::probes
