#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <ctime>

#include "agent/error.hpp"
#include "agent/kernel/process.hpp"
#include "agent/kernel/sched_sampler.hpp"
#include "agent/model/epoll_top.hpp"
#include "agent/model/text.hpp"
#include "agent/probes/epoll_list.hpp"
#include "agent/probes/plan.hpp"
#include "common/json_line.hpp"
#include "tools/cli/named_values.hpp"
#include "tools/cli/top_source.hpp"

namespace epulse::cli {
namespace {

using model::EpollTopRow;

const kernel::Facts& checked(const kernel::Facts& facts) {
  if (facts.bpf_errno != 0 || !facts.own_proc) {
    fail_unsupported("depth is absent here: {}; `epulse list` shows the descriptors",
                     probes::plan(facts).why);
  }
  return facts;
}

int watched(const EpollTopRow& row) {
  return kernel::watched_descriptors(static_cast<pid_t>(row.pid), row.epfd).value_or(0);
}

Cell number(double value, int digits) {
  return {fmt::format("{:.{}f}", value, digits), value, false};
}

Cell depth(const EpollTopRow& row, double value, int digits) {
  return row.depth_known == 0 ? Cell{"-", -1, false} : number(value, digits);
}

class HostSource : public TopSource {
 public:
  HostSource(const TopOptions& options, Watch& watch) : lister_(checked(kernel::detect())) {
    interval_s_ = std::max(options.interval_s, 1 / options.hz);
    passes_each_ = std::round(interval_s_ * options.hz);
    watch.start(interval_s_ / passes_each_);
    start_interval();
  }

  bool tick() override {
    const uint64_t start_ns = kernel::monotonic_ns();
    top_.add_pass(lister_.read());
    spent_ns_ += kernel::monotonic_ns() - start_ns;
    ++passes_;
    // A host with very many descriptors may take longer over a pass than it is due.
    if (static_cast<double>(passes_) < passes_each_ && kernel::monotonic_ns() < until_ns_) {
      return false;
    }
    rows_ = top_.take();
    passes_done_ = passes_;
    pass_ns_ = spent_ns_ / passes_;
    start_interval();
    return true;
  }

  View view() override {
    View view;
    view.title =
        fmt::format("# {} epoll descriptors, {} passes of {} each; nothing runs in between",
                    rows_.size(), passes_done_, model::duration_text(pass_ns_));
    view.table.columns = {{"", "PROCESS", 24, 0, true},   {"", "EPFD", 5, 0, false},
                          {"", "WATCHED", 8, 0, false},   {"", "WAITING", 8, 0, false},
                          {"depth", "mean", 8, 0, false}, {"depth", "max", 8, 0, false}};
    view.sorted_by = 5;
    for (const EpollTopRow& row : rows_) {
      view.table.rows.push_back(
          {{{fmt::format("{}[{}]", model::printable(row.name), row.pid), 0, false},
            number(row.epfd, 0),
            number(watched(row), 0),
            number(row.waiting_mean(), 1),
            depth(row, row.depth_mean(), 1),
            depth(row, row.depth_max, 0)},
           {}});
    }
    return view;
  }

  std::string json(size_t most) override {
    const auto now = static_cast<uint64_t>(time(nullptr));
    const size_t shown = most == 0 ? rows_.size() : std::min(most, rows_.size());
    std::string lines;
    for (size_t i = 0; i < shown; ++i) {
      const EpollTopRow& row = rows_[i];
      const bool known = row.depth_known != 0;
      JsonLine line("epoll");
      line.member("time", now).member("pid", row.pid).member("process", row.name);
      line.member("epfd", row.epfd).member("watched", watched(row));
      line.member("waiting_mean", row.waiting_mean());
      line.member("depth_mean", known ? PlainValue{row.depth_mean()} : PlainValue{});
      line.member("depth_max", known ? PlainValue{uint64_t{row.depth_max}} : PlainValue{});
      line.member("passes", row.passes).member("depth_known", row.depth_known);
      lines += line.member("passes_all", passes_done_).finish();
    }
    return lines;
  }

  View last_view() override { return view(); }
  bool ended() override { return false; }

 private:
  void start_interval() {
    passes_ = 0;
    spent_ns_ = 0;
    until_ns_ = kernel::monotonic_ns() + static_cast<uint64_t>(interval_s_ * 1e9);
  }

  probes::EpollLister lister_;
  double interval_s_ = 0;
  double passes_each_ = 0;
  model::EpollTop top_;
  uint64_t passes_ = 0;  // of the interval that runs
  uint64_t spent_ns_ = 0;
  uint64_t until_ns_ = 0;
  std::vector<EpollTopRow> rows_;  // of the one that ended last
  uint64_t passes_done_ = 0;
  uint64_t pass_ns_ = 0;
};

}  // namespace

std::unique_ptr<TopSource> host_source(const TopOptions& options, Watch& watch) {
  return std::make_unique<HostSource>(options, watch);
}

}  // namespace epulse::cli
