#include "agent/actuate/thread_affinity.hpp"

#include <sched.h>

#include <chrono>
#include <optional>
#include <thread>

#include "agent/actuate/proc_thread.hpp"
#include "agent/error.hpp"
#include "agent/kernel/cpuset.hpp"

namespace epulse::actuate {
namespace {

using model::CpuSet;

constexpr std::chrono::milliseconds kCpusetChanges{10};

// nullopt when the thread is gone.
std::optional<CpuSet> get_mask(pid_t tid) {
  cpu_set_t native;
  CPU_ZERO(&native);
  if (sched_getaffinity(tid, sizeof native, &native) == 0) return CpuSet::from_native(native);
  if (errno == ESRCH) return std::nullopt;
  fail("cannot read the CPUs of thread {}: {}", tid, errno_text(errno));
}

// False when the thread is gone.
bool set_mask(pid_t tid, const CpuSet& mask) {
  const cpu_set_t native = mask.native();
  if (sched_setaffinity(tid, sizeof native, &native) == 0) return true;
  if (errno == ESRCH) return false;
  fail("cannot set the CPUs of thread {} to {}: {}{}", tid, mask.to_string(), errno_text(errno),
       errno == EPERM    ? "; run epulsed as root or with CAP_SYS_NICE"
       : errno == EINVAL ? "; none of these CPUs is online and in its cpuset"
                         : "");
}

bool is_same_thread(const ThreadAffinity& change) {
  const auto stat = read_thread_stat(change.pid, change.tid);
  return stat && stat->start_ticks == change.start_ticks;
}

}  // namespace

ThreadAffinity prepare(ThreadAffinity change) {
  // 0 would mean the agent itself.
  if (change.tid <= 0 || change.pid <= 0 || change.new_mask.empty()) {
    fail("cannot set the CPUs of thread {} to \"{}\": not a thread and a mask", change.tid,
         change.new_mask.to_string());
  }
  const auto stat = read_thread_stat(change.pid, change.tid);
  const auto mask = get_mask(change.tid);
  if (!stat || stat->start_ticks != change.start_ticks || !mask) {
    fail("{} has ended; its CPUs are not changed", target_text(change));
  }
  if (*mask != change.old_mask) {
    fail("the CPUs of {} are {}, not {}: somebody else changed it; it is left alone",
         target_text(change), mask->to_string(), change.old_mask.to_string());
  }
  change.name = stat->name;
  return change;
}

// The journal was written since prepare(), which may have taken a while: what was true then is
// looked at again. Some microseconds stay, since sched_setaffinity() does not compare.
void perform(const ThreadAffinity& change) {
  prepare(change);
  if (!set_mask(change.tid, change.new_mask)) {
    fail("{} has ended; its CPUs are not changed", target_text(change));
  }
  const auto now = get_mask(change.tid);
  if (!now || *now == change.new_mask) return;
  // The cpuset of the thread cut it down: not what was decided, so not what should be in force.
  set_mask(change.tid, change.old_mask);
  fail("the CPUs of {} became {} instead of {} (its cpuset?); {} restored", target_text(change),
       now->to_string(), change.new_mask.to_string(), change.old_mask.to_string());
}

// A cpuset that shrinks, or a CPU that goes offline, cuts the mask down, or away for all that is
// left. Since Linux 6.2 the kernel remembers what was set (user_cpus_ptr, kernel/sched/core.c), and
// gives it back with the CPUs: so ours is in force although it does not show.
Standing look(const ThreadAffinity& change) {
  if (!is_same_thread(change)) return Standing::kGone;
  const auto now = get_mask(change.tid);
  if (!now) return Standing::kGone;
  if (*now == change.new_mask) return Standing::kNew;
  const CpuSet usable = kernel::usable_cpus(change.tid);  // which may have a cpuset of its own
  const CpuSet left = change.new_mask & usable;
  const bool cut = left != change.new_mask;
  if (cut && *now == (left.empty() ? usable : left)) return Standing::kNew;
  return *now == change.old_mask ? Standing::kOld : Standing::kOthers;
}

Undone undo(const ThreadAffinity& change) {
  Undone gone{UndoResult::kGone, "it has ended, nothing to restore"};
  const std::string cpus =
      fmt::format("CPUs {} -> {}", change.new_mask.to_string(), change.old_mask.to_string());
  Standing standing = look(change);
  if (standing == Standing::kOthers) {
    // A cpuset that is being changed tells of its CPUs before its threads have them.
    std::this_thread::sleep_for(kCpusetChanges);
    standing = look(change);
  }
  if (standing == Standing::kGone) return gone;
  // The agent died before it made the change, or after it undid it.
  if (standing == Standing::kOld) return {UndoResult::kRestored, cpus + " in place already"};
  if (standing == Standing::kOthers) {
    const auto now = get_mask(change.tid);
    if (!now) return gone;
    return {
        UndoResult::kStoodDown,
        fmt::format("CPUs are {}, not the {} set here: somebody else changed it since; it "
                    "is left alone ({} before)",
                    now->to_string(), change.new_mask.to_string(), change.old_mask.to_string())};
  }
  if (!set_mask(change.tid, change.old_mask)) return gone;
  const auto restored = get_mask(change.tid);
  if (!restored) return gone;
  if (*restored == change.old_mask) return {UndoResult::kRestored, cpus + " restored"};
  if (*restored == (change.old_mask & kernel::usable_cpus(change.tid))) {
    return {UndoResult::kRestored,
            fmt::format("{} restored; its cpuset allows only {} of that for now", cpus,
                        restored->to_string())};
  }
  fail("CPUs became {} instead of {} (its cpuset?)", restored->to_string(),
       change.old_mask.to_string());
}

}  // namespace epulse::actuate
