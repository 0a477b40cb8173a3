#include "agent/tuners/affinity.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "agent/model/by_hand.hpp"
#include "agent/tuners/improvement.hpp"
#include "agent/tuners/placement.hpp"

namespace epulse::tuners {
namespace {

using model::CpuSched;
using model::CpuSet;
using model::SchedInterval;
using model::ThreadSched;

constexpr size_t kContendedMin = 2;          // consecutive intervals before acting
constexpr size_t kContendedMax = 8;          // kept to compare with
constexpr double kQueueGain = 0.5;           // of an interval in which a queue was shorter
constexpr double kBusyMax = 0.9;             // ... and this busy at most, with the thread on it
constexpr int kQueueFactor = 2;              // ... or have a queue this many times shorter
constexpr uint64_t kCooldownDoublings = 10;  // at 5 s: at most one move in 85 minutes
constexpr double kWorthNaming = 0.05;        // shares of a CPU, in the evidence
constexpr size_t kNeighboursMax = 3;

// Some of the usable CPUs, but not all: the mask is what keeps the thread where it is.
bool is_confined(const CpuSet& mask, const CpuSet& usable) {
  return !mask.empty() && (mask & usable) == mask && mask != usable;
}

// A busy share says whether a CPU has room; of two that have none, the queue says which is worse. A
// real-time thread in it is worse than any number of others: they wait until it sleeps.
bool has_shorter_queue(const CpuSched& cpu, const CpuSched& present) {
  if (!cpu.foreign_runnable || !present.foreign_runnable || cpu.foreign_real_time) return false;
  return present.foreign_real_time ||
         *present.foreign_runnable >= kQueueFactor * std::max(1, *cpu.foreign_runnable);
}

bool has_room(const CpuSched& cpu, const ThreadSched& thread) {
  return cpu.busy_share + thread.run_share <= kBusyMax;
}

std::string queue_text(const CpuSched& cpu) {
  if (!cpu.foreign_runnable) return "";
  return fmt::format(" ({} other threads want it{})", *cpu.foreign_runnable,
                     cpu.foreign_real_time ? ", a real-time one among them" : "");
}

// ", and other threads of its process 40 %: ws-worker-0[4712]"
std::string neighbours_text(const SchedInterval& interval, const CpuSched& cpu,
                            const ThreadSched& thread) {
  const double share = others_share(cpu, thread) - foreign_share(cpu);
  if (share < kWorthNaming) return "";
  std::string names;
  size_t named = 0;
  for (const ThreadSched& other : interval.threads) {
    const bool is_neighbour = other.tid != thread.tid && other.cpu == cpu.cpu;
    if (!is_neighbour || other.run_share < kWorthNaming || named++ == kNeighboursMax) continue;
    names += fmt::format("{}{}[{}]", names.empty() ? ": " : ", ", other.name, other.tid);
  }
  return fmt::format(", and other threads of its process {:.0f} %{}", share * 100, names);
}

// Who else is in what "others" used, and is no thread that could be moved away.
std::string interrupts_text(const CpuSched& cpu) {
  std::string text;
  if (cpu.softirq_share >= kWorthNaming) {
    text += fmt::format(", {:.0f} % of it softirqs", cpu.softirq_share * 100);
  }
  if (cpu.steal_share >= kWorthNaming) {
    text += fmt::format(", {:.0f} % of it taken by the hypervisor", cpu.steal_share * 100);
  }
  return text;
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const size_t half = values.size() / 2;
  return values.size() % 2 == 1 ? values[half] : (values[half - 1] + values[half]) / 2;
}

}  // namespace

AffinityTuner::Decision AffinityTuner::step(const SchedInterval& interval, const CpuSet& usable,
                                            uint64_t now_ns) {
  if (!(interval.seconds > 0)) return {};
  proposed_.reset();  // a proposal is applied before the next interval, or not at all
  cpus_ = interval.cpus;
  std::erase_if(cpus_, [](const CpuSched& cpu) {
    return !std::isfinite(cpu.busy_share) || !std::isfinite(cpu.target_share);
  });
  remember(interval, usable, now_ns);
  if (watch_) return verify(interval, usable, now_ns);
  if (now_ns < not_before_ns_) return {};
  return propose(interval, usable, now_ns);
}

std::vector<std::string> AffinityTuner::standing() const {
  std::vector<std::string> targets;
  for (const auto& [id, memory] : memory_) {
    if (!memory.contended.empty() && !memory.proposed.empty()) targets.push_back(memory.proposed);
  }
  return targets;
}

void AffinityTuner::applied(uint64_t now_ns) {
  if (!proposed_) return;
  watch_ = std::move(proposed_);
  proposed_.reset();
  watch_->since_ns = now_ns;
}

AffinityTuner::Delay AffinityTuner::delay_of(const ThreadSched& thread, double seconds) {
  Delay delay;
  if (thread.wakeup_ns_p99) delay.wakeup_ns_p99 = static_cast<double>(*thread.wakeup_ns_p99);
  delay.wakeup_ns = thread.wakeup_ns;
  delay.delay_ns_mean = static_cast<double>(thread.delay_ns_mean);
  delay.timeslices = static_cast<uint64_t>(std::lround(thread.timeslices_per_second * seconds));
  return delay;
}

void AffinityTuner::remember(const SchedInterval& interval, const CpuSet& usable, uint64_t now_ns) {
  std::set<ThreadId> alive;
  for (const ThreadSched& thread : interval.threads) {
    if (!thread.is_worker) continue;
    const ThreadId id{thread.tid, thread.start_ticks};
    alive.insert(id);
    remember(memory_[id], thread, interval, usable);
  }
  std::erase_if(memory_, [&](const auto& entry) { return !alive.contains(entry.first); });
  for (auto& [id, memory] : memory_) {
    // Long quiet: what happens now is another story, and starts with the short cooldown again.
    const bool forgiven = now_ns - memory.last_proposal_ns > 16 * memory.cooldown_ns;
    if (forgiven && memory.contended.empty()) memory.cooldown_ns = limits_.cooldown_ns;
  }
}

// Where wake-ups were only counted the mean may still bear witness for contention, never against
// it: the intervals before and after this one are consecutive.
void AffinityTuner::remember(Memory& memory, const ThreadSched& thread,
                             const SchedInterval& interval, const CpuSet& usable) const {
  const bool throttled = interval.throttled_share > kThrottledMax;
  const bool is_contended = !throttled && contended(thread, usable);
  if (throttled || (!is_contended && interval.wakeups_measured)) {
    memory.contended.clear();
    memory.gains.clear();
    return;
  }
  if (is_contended) {
    if (memory.contended.size() == kContendedMax) memory.contended.erase(memory.contended.begin());
    memory.contended.push_back(delay_of(thread, interval.seconds));
  }
  if (!memory.contended.empty()) add_gains(memory.gains, thread, usable);
}

void AffinityTuner::add_gains(std::map<int, double>& gains, const ThreadSched& thread,
                              const CpuSet& usable) const {
  const CpuSched* const at = quietest(cpus_, thread.allowed, thread);
  if (at == nullptr) return;
  const CpuSched& present = *at;
  const double present_price = price(present, thread, present.cpu, cpus_, topology_);
  std::map<int, double> now;
  for (const CpuSched& cpu : cpus_) {
    if (!usable.contains(cpu.cpu) || thread.allowed.contains(cpu.cpu)) continue;
    double gain = present_price - price(cpu, thread, present.cpu, cpus_, topology_) - kMargin;
    if (gain < 0 || !has_room(cpu, thread)) {
      gain = has_shorter_queue(cpu, present) ? kQueueGain : std::min(gain, -kMargin);
    }
    const auto before = gains.find(cpu.cpu);
    now[cpu.cpu] = std::max(0.0, (before == gains.end() ? 0 : before->second) + gain);
  }
  gains = std::move(now);
}

bool AffinityTuner::contended(const ThreadSched& thread, const CpuSet& usable) const {
  if (!is_confined(thread.allowed, usable)) return false;
  const CpuSched* const present = quietest(cpus_, thread.allowed, thread);
  if (present == nullptr || !(others_share(*present, thread) >= limits_.foreign_busy_min)) {
    return false;
  }
  return waits_too_long(thread);
}

bool AffinityTuner::waits_too_long(const ThreadSched& thread) const {
  if (thread.wakeup_ns_p99) return *thread.wakeup_ns_p99 > limits_.wakeup_ns_p99;
  return thread.delay_ns_mean * kMeanToP99 > limits_.wakeup_ns_p99 &&
         thread.delay_share >= limits_.delay_share_min;
}

AffinityBalance AffinityTuner::balance(const ThreadSched& thread, const CpuSet& usable,
                                       uint64_t now_ns) const {
  AffinityBalance all;
  const auto found = memory_.find({thread.tid, thread.start_ticks});
  const Memory none;
  const Memory& memory = found == memory_.end() ? none : found->second;
  const uint64_t not_before_ns = std::max(not_before_ns_, memory.not_before_ns);
  if (not_before_ns > now_ns) all.cooldown_ns = not_before_ns - now_ns;
  all.present = quietest(cpus_, thread.allowed, thread);
  if (all.present == nullptr) return all;
  const int home = all.present->cpu;
  all.others_share = tuners::others_share(*all.present, thread);
  all.present_price = price(*all.present, thread, home, cpus_, topology_);
  for (const CpuSched& cpu : cpus_) {
    if (!usable.contains(cpu.cpu) || thread.allowed.contains(cpu.cpu)) continue;
    const auto sum = memory.gains.find(cpu.cpu);
    const double gain = sum == memory.gains.end() ? 0 : sum->second;
    const double cpu_price = price(cpu, thread, home, cpus_, topology_);
    const bool better = gain > all.gain || (gain == all.gain && cpu_price < all.best_price);
    if (all.best != nullptr && !better) continue;
    all.best = &cpu;
    all.best_price = cpu_price;
    all.has_room = has_room(cpu, thread);
    all.gain = gain;
  }
  return all;
}

AffinityTuner::Decision AffinityTuner::propose(const SchedInterval& interval, const CpuSet& usable,
                                               uint64_t now_ns) {
  std::optional<AffinityProposal> worst;
  double worst_delay_ns = 0;
  for (const ThreadSched& thread : interval.threads) {
    const auto found = memory_.find({thread.tid, thread.start_ticks});
    if (found == memory_.end() || found->second.contended.size() < kContendedMin) continue;
    if (now_ns < found->second.not_before_ns) continue;
    // Its evidence is this interval's: one that bears no witness has nothing to say.
    if (!contended(thread, usable)) continue;
    const Delay& delay = found->second.contended.back();
    const double delay_ns = delay.wakeup_ns_p99.value_or(delay.delay_ns_mean);
    if (worst && delay_ns <= worst_delay_ns) continue;
    if (auto proposal = proposal_for(thread, found->second.gains, interval, usable)) {
      worst = std::move(proposal);
      worst_delay_ns = delay_ns;
    }
  }
  if (!worst) return {};
  Memory& memory = memory_.at({worst->tid, worst->start_ticks});
  proposed_ = Watch{*worst, memory.contended, {}, now_ns};
  memory.last_proposal_ns = now_ns;
  memory.proposed = worst->target;
  back_off(memory, now_ns);
  not_before_ns_ = now_ns + limits_.cooldown_ns;
  return *worst;
}

std::optional<AffinityProposal> AffinityTuner::proposal_for(const ThreadSched& thread,
                                                            const std::map<int, double>& gains,
                                                            const SchedInterval& interval,
                                                            const CpuSet& usable) const {
  const CpuSched* const present = quietest(cpus_, thread.allowed, thread);
  if (present == nullptr) return std::nullopt;
  const CpuSched* const to = destination(thread, gains, *present);
  if (to == nullptr) return std::nullopt;
  AffinityProposal proposal;
  proposal.tid = thread.tid;
  proposal.start_ticks = thread.start_ticks;
  proposal.name = thread.name;
  proposal.from = thread.allowed;
  proposal.to = CpuSet::of(to->cpu);
  const double foreign = foreign_share(*present);
  const bool packed = others_share(*present, thread) - foreign > foreign;
  proposal.scenario = packed ? "affinity.packed-workers" : "affinity.busy-cpu";
  proposal.target = fmt::format("thread {} ({})", thread.tid, thread.name);
  proposal.by_hand = model::affinity_by_hand(thread.tid, proposal.to);
  proposal.bounds = fmt::format("one CPU of {}; one move at a time, at most one in {} s",
                                usable.to_string(), limits_.cooldown_ns / 1'000'000'000);
  explain(proposal, thread, interval, *present, *to);
  return proposal;
}

// Of the CPUs that have long enough been better, and are now.
const CpuSched* AffinityTuner::destination(const ThreadSched& thread,
                                           const std::map<int, double>& gains,
                                           const CpuSched& present) const {
  const auto price_of = [&](const CpuSched& cpu) {
    return price(cpu, thread, present.cpu, cpus_, topology_);
  };
  const CpuSched* roomy = nullptr;
  const CpuSched* shorter = nullptr;
  for (const CpuSched& cpu : cpus_) {
    const auto gain = gains.find(cpu.cpu);
    if (gain == gains.end() || gain->second < kGainMin) continue;
    if (price_of(cpu) + kMargin <= price_of(present) && has_room(cpu, thread)) {
      if (roomy == nullptr || price_of(cpu) < price_of(*roomy)) roomy = &cpu;
    } else if (has_shorter_queue(cpu, present)) {
      if (shorter == nullptr || *cpu.foreign_runnable < *shorter->foreign_runnable) shorter = &cpu;
    }
  }
  return roomy != nullptr ? roomy : shorter;
}

void AffinityTuner::explain(AffinityProposal& proposal, const ThreadSched& thread,
                            const SchedInterval& interval, const CpuSched& present,
                            const CpuSched& to) const {
  const std::string measured =
      thread.wakeup_ns_p99
          ? fmt::format("{} us from woken to running at p99 (limit {} us)",
                        *thread.wakeup_ns_p99 / 1000, limits_.wakeup_ns_p99 / 1000)
          : fmt::format("{} us per time slice, as a mean (limit {} us)",
                        thread.delay_ns_mean / 1000, limits_.wakeup_ns_p99 / kMeanToP99 / 1000);
  proposal.evidence = fmt::format(
      "{}[{}] waits {} and is kept from running {:.1f} % of the time; it may use only CPU {}, "
      "which other programs keep {:.0f} % busy{}{}{}; CPU {} is {:.0f} % busy{}",
      thread.name, thread.tid, measured, thread.delay_share * 100, thread.allowed.to_string(),
      foreign_share(present) * 100, interrupts_text(present), queue_text(present),
      neighbours_text(interval, present, thread), to.cpu, to.busy_share * 100, queue_text(to));
  if (thread.wakeup_ns_p99) {
    proposal.figures.push_back({"wakeup_us_p99", static_cast<double>(*thread.wakeup_ns_p99) / 1e3,
                                static_cast<double>(limits_.wakeup_ns_p99) / 1e3});
  }
  proposal.figures.push_back({"delay_us_mean", static_cast<double>(thread.delay_ns_mean) / 1e3});
  proposal.figures.push_back({"delay_share", thread.delay_share});
  proposal.figures.push_back(
      {"others_share", others_share(present, thread), limits_.foreign_busy_min});
  proposal.figures.push_back({"foreign_share", foreign_share(present)});
  proposal.figures.push_back({"destination_busy_share", to.busy_share, kBusyMax});
  const double needed_share = to.busy_share + thread.run_share;
  proposal.expected =
      fmt::format("CPU {} {}; the delay must fall by {:.0f} % or the move is undone", to.cpu,
                  has_room(to, thread) ? fmt::format("will be {:.0f} % busy", needed_share * 100)
                                       : "has no room to spare either, but a shorter queue",
                  limits_.improvement_min * 100);
}

AffinityTuner::Decision AffinityTuner::verify(const SchedInterval& interval, const CpuSet& usable,
                                              uint64_t now_ns) {
  const AffinityProposal& change = watch_->proposal;
  const auto thread =
      std::find_if(interval.threads.begin(), interval.threads.end(), [&](const ThreadSched& t) {
        return t.tid == change.tid && t.start_ticks == change.start_ticks;
      });
  if (thread == interval.threads.end()) {
    return conclude(AffinityVerdict::Kind::kLost, "the thread has ended", now_ns);
  }
  if (thread->allowed != change.to) {
    const bool cut = (change.to & usable) != change.to;
    return conclude(
        AffinityVerdict::Kind::kLost,
        cut ? fmt::format("its cpuset has only CPU {} now, so it may use {}", usable.to_string(),
                          thread->allowed.to_string())
            : fmt::format("somebody else set its CPUs to {}", thread->allowed.to_string()),
        now_ns);
  }
  // An interval that began before the change is half a measurement of it.
  const auto interval_ns = static_cast<uint64_t>(interval.seconds * 1e9);
  const bool whole = now_ns >= interval_ns && now_ns - interval_ns >= watch_->since_ns;
  if (whole) watch_->after.push_back(delay_of(*thread, interval.seconds));
  if (watch_->after.empty() || now_ns - watch_->since_ns < limits_.verify_ns) return {};
  return judge(now_ns);
}

AffinityTuner::Decision AffinityTuner::judge(uint64_t now_ns) {
  const auto merged = [](const std::vector<Delay>& delays) {
    std::optional<model::Histogram> all;
    for (const Delay& delay : delays) {
      if (!delay.wakeup_ns) continue;
      if (!all) all.emplace(delay.wakeup_ns->shape());
      all->merge(*delay.wakeup_ns);
    }
    return all;
  };
  const auto before = merged(watch_->before);
  const auto after = merged(watch_->after);
  if (!before || !after) return judge_medians(now_ns);
  const Improvement improvement = compare_p99(*before, *after, limits_.improvement_min);
  if (improvement.kind == Improvement::Kind::kUnclear && is_patient(now_ns)) return {};
  const bool kept = improvement.kind == Improvement::Kind::kProven;
  return conclude(kept ? AffinityVerdict::Kind::kKeep : AffinityVerdict::Kind::kRevert,
                  "woken to running " + improvement.text, now_ns);
}

bool AffinityTuner::is_patient(uint64_t now_ns) const {
  return now_ns - watch_->since_ns < kPatience * limits_.verify_ns;
}

// Where there are no histograms: p99 of both sides, or the mean of both, never one against the
// other. A mean counts only where the thread ran: one that did not has no delay, which proves
// nothing.
AffinityTuner::Decision AffinityTuner::judge_medians(uint64_t now_ns) {
  const auto values = [](const std::vector<Delay>& delays, bool p99) {
    std::vector<double> figures;
    for (const Delay& delay : delays) {
      if (p99 && delay.wakeup_ns_p99) figures.push_back(*delay.wakeup_ns_p99);
      if (!p99 && delay.timeslices > 0) figures.push_back(delay.delay_ns_mean);
    }
    return figures;
  };
  const bool p99 = !values(watch_->before, true).empty() && !values(watch_->after, true).empty();
  uint64_t timeslices = 0;
  for (const Delay& delay : watch_->after) timeslices += delay.timeslices;
  const bool told = p99 || (timeslices >= kValuesMin && !values(watch_->before, false).empty());
  if (!told) {
    if (is_patient(now_ns)) return {};
    return conclude(AffinityVerdict::Kind::kRevert,
                    fmt::format("undo: it had {} time slices since, and {} are needed to tell "
                                "whether it helped; there is {} traffic",
                                timeslices, kValuesMin, timeslices == 0 ? "no" : "little"),
                    now_ns);
  }
  const double before_ns = median(values(watch_->before, p99));
  const double after_ns = median(values(watch_->after, p99));
  const double wanted_ns = before_ns * (1 - limits_.improvement_min);
  const bool improved = after_ns <= wanted_ns;
  return conclude(improved ? AffinityVerdict::Kind::kKeep : AffinityVerdict::Kind::kRevert,
                  fmt::format("{} {:.0f} us before, {:.0f} us after ({} intervals); {} needed at "
                              "most {:.0f} us",
                              p99 ? "woken to running p99" : "mean delay per time slice",
                              before_ns / 1000, after_ns / 1000, watch_->after.size(),
                              improved ? "kept:" : "undo:", wanted_ns / 1000),
                  now_ns);
}

AffinityTuner::Decision AffinityTuner::conclude(AffinityVerdict::Kind kind, std::string evidence,
                                                uint64_t now_ns) {
  const AffinityProposal& change = watch_->proposal;
  AffinityVerdict verdict{kind, change.tid, change.start_ticks, std::move(evidence)};
  if (const auto found = memory_.find({change.tid, change.start_ticks}); found != memory_.end()) {
    Memory& memory = found->second;
    memory.contended.clear();
    memory.gains.clear();
    if (kind != AffinityVerdict::Kind::kKeep) back_off(memory, now_ns);
  }
  not_before_ns_ = now_ns + limits_.cooldown_ns;
  watch_.reset();
  return verdict;
}

void AffinityTuner::back_off(Memory& memory, uint64_t now_ns) const {
  memory.cooldown_ns = std::max(memory.cooldown_ns, limits_.cooldown_ns);
  memory.not_before_ns = now_ns + memory.cooldown_ns;
  memory.cooldown_ns = std::min(memory.cooldown_ns * 2, limits_.cooldown_ns << kCooldownDoublings);
}

}  // namespace epulse::tuners
