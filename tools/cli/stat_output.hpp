#pragma once

#include <memory>
#include <string>
#include <vector>

#include "agent/export/record_format.hpp"
#include "agent/model/blame.hpp"
#include "agent/model/epoll_stats.hpp"
#include "agent/model/interference.hpp"
#include "agent/model/overhead_budget.hpp"
#include "agent/model/socket_pressure.hpp"
#include "agent/model/uring_stats.hpp"
#include "agent/probes/program_cost.hpp"
#include "tools/cli/commands.hpp"

namespace epulse::cli {

// What `epulse stat` has measured: in an interval, or in the whole run.
struct StatReport {
  const model::EpollSnapshot& epoll;  // grouped as was asked for
  const record::ThreadNames& names;
  const std::vector<model::Blame>& blames;  // by worker and culprit, the most stolen time first
  const model::Interference& interference;
  const model::Overhead& overhead;
  const model::UringSnapshot* rings = nullptr;     // null: not looked at
  const model::SocketPressure* sockets = nullptr;  // null: not asked for
};

// The end of a run.
struct StatEnd {
  std::string title;                            // who was watched
  std::string reason;                           // why it is over, empty: as was asked for
  const model::SocketRun* sockets = nullptr;    // null: not asked for
  std::vector<probes::ProgramCost> costs = {};  // empty: not asked for
  uint64_t timed_ns = 0;                        // so long were they measured
};

// How `epulse stat` tells it: for people, or (-x, -j) for programs. Standard output.
class StatOutput {
 public:
  virtual ~StatOutput() = default;
  // The probes are attached.
  virtual void start(const std::string& title, const std::string& backend) = 0;
  virtual void interval(const StatReport& report) = 0;
  virtual void summary(const StatReport& report, const StatEnd& end) = 0;
};

// `processes`: rows say whose threads they are.
std::unique_ptr<StatOutput> make_stat_output(const StatOptions& options, bool processes);

// The output's parts, by form.
std::unique_ptr<StatOutput> make_stat_table(const StatOptions& options, bool processes);
std::unique_ptr<StatOutput> make_stat_lines(const std::string& separator);
std::unique_ptr<StatOutput> make_stat_json();

}  // namespace epulse::cli
