#include <fmt/format.h>

#include <ctime>
#include <map>
#include <optional>

#include "agent/error.hpp"
#include "agent/kernel/process.hpp"
#include "agent/model/text.hpp"
#include "agent/probes/attach.hpp"
#include "agent/probes/epoll_list.hpp"
#include "agent/probes/overhead_control.hpp"
#include "common/json_line.hpp"
#include "tools/cli/epoll_table.hpp"
#include "tools/cli/top_source.hpp"
#include "tools/cli/worker_table.hpp"
#include "tools/cli/worker_values.hpp"

namespace epulse::cli {
namespace {

using BlamesByVictim = std::map<uint32_t, std::vector<model::Blame>>;

// Blames go by the host's thread ids: elsewhere they cannot be told apart.
BlamesByVictim by_victim(const std::vector<model::Blame>& blames) {
  BlamesByVictim result;
  if (!kernel::in_host_pid_namespace()) return result;
  for (const model::Blame& blame : blames) result[blame.victim].push_back(blame);
  return result;
}

probes::Attached attach(const Target& target) {
  probes::Attached attached =
      probes::attach({.tgids = target.pids(), .follow_children = target.follow_children()}, "auto",
                     [](const epoll_wait_record&) {});
  if (!attached.probe) {
    fail_unsupported(
        "workers cannot be watched here: {}; `epulse stat -p PID` shows the scheduler's own "
        "figures",
        attached.plan.why);
  }
  return attached;
}

class WorkerSource : public TopSource {
 public:
  WorkerSource(const TopOptions& options, const Target& target, Watch& watch)
      : target_(target),
        attached_(attach(target)),
        control_(*attached_.probe, options.budget_percent / 100),
        intervals_(attached_.probe->attached_ns()),
        lister_(kernel::detect()) {
    watch.add_descriptor(attached_.probe->descriptor(), [this] { attached_.probe->consume(); });
    target_.add_members(*attached_.probe);
    title_ = fmt::format("{}{}, {} backend, every {} s", target_.title(),
                         target_.follow_children() ? " and children" : "",
                         probes::to_string(attached_.plan.backend), options.interval_s);
    watch.start(options.interval_s);
  }

  bool tick() override {
    sample();
    control_.interval_ends(interval_.time_ns);
    new_blames_ = by_victim(blames_.advance(blamed_));
    look_at_depths();
    ended_ = !target_.refresh(*attached_.probe);
    return true;
  }

  View view() override {
    View view = view_of(interval_, new_blames_);
    view.title = fmt::format("# {}: {} workers", title_, view.table.rows.size());
    return view;
  }

  View last_view() override {
    sample();  // what came since the last tick
    depths_.clear();
    View view = view_of(total_.total(), by_victim(model::BlameIntervals().advance(blamed_)));
    view.title =
        fmt::format("# {}: {} workers, the whole run of {}", title_, view.table.rows.size(),
                    model::duration_text(total_.total().duration_ns));
    return view;
  }
  std::string json(size_t most) override {
    std::string lines;
    size_t shown = 0;
    for (const model::WorkerStats& worker : interval_.workers) {
      if (worker.waits() == 0) continue;
      if (most != 0 && shown++ == most) break;
      JsonLine line("worker");
      line.member("time", static_cast<uint64_t>(time(nullptr)));
      line.member("duration_ns", interval_.duration_ns);
      line.member("detailed_ns", interval_.detailed_ns);
      const auto depth = depths_.find(worker.key);
      line.member("depth_now",
                  depth == depths_.end() ? PlainValue{} : PlainValue{uint64_t{depth->second}});
      add_worker(line, worker, names_);
      lines += line.finish();
    }
    return lines;
  }

  bool ended() override { return ended_; }

 private:
  void sample() {
    interval_ = intervals_.advance(attached_.probe->read());
    blamed_ = attached_.probe->blames();
    target_.limit(interval_);
    target_.limit(blamed_);
    add_names(interval_, names_);
    total_.add(interval_);
  }

  View view_of(const model::EpollSnapshot& snapshot, const BlamesByVictim& blames) {
    View view;
    if (snapshot.detailed_ns < snapshot.duration_ns && control_.overhead().detail_one_in > 1) {
      view.notes.push_back("probes: " + text_of(control_.overhead()));
    }
    for (const std::string& loss : texts_of(snapshot.losses)) view.notes.push_back("lost: " + loss);
    view.table = worker_table(WorkerColumns::kTop, {.interval = snapshot,
                                                    .names = names_,
                                                    .processes = !target_.single(),
                                                    .depths_now = &depths_,
                                                    .blames = &blames});
    view.sorted_by = worst_column(view.table);
    return view;
  }

  // One pass over the descriptors of the host; the instance tells whose they are.
  void look_at_depths() {
    std::map<uint64_t, uint32_t> by_instance;
    for (const epoll_list_record& record : lister_.read()) {
      if (record.depth >= 0) by_instance[record.epoll_id] = static_cast<uint32_t>(record.depth);
    }
    depths_.clear();
    for (const model::WorkerStats& worker : interval_.workers) {
      const auto depth = by_instance.find(worker.key.epoll_id);
      if (depth != by_instance.end()) depths_[worker.key] = depth->second;
    }
  }

  const Target& target_;
  probes::Attached attached_;
  probes::OverheadControl control_;
  model::EpollIntervals intervals_;
  probes::EpollLister lister_;
  std::string title_;
  model::EpollSnapshot interval_;
  model::EpollTotal total_;
  record::ThreadNames names_;
  model::BlameIntervals blames_;
  std::vector<model::Blame> blamed_;             // since attach
  BlamesByVictim new_blames_;                    // of the interval
  std::map<model::WorkerKey, uint32_t> depths_;  // when it ended
  bool ended_ = false;
};

}  // namespace

std::unique_ptr<TopSource> worker_source(const TopOptions& options, const Target& target,
                                         Watch& watch) {
  return std::make_unique<WorkerSource>(options, target, watch);
}

}  // namespace epulse::cli
