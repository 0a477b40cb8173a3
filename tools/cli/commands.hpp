#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "tools/cli/target_options.hpp"
#include "tools/report/stdio.hpp"

// The subcommands of epulse. Each returns the exit status: 0 fine, 1 found something, 2 failed. A
// failure to set up is an Error, which main prints.
namespace epulse::cli {

class Watch;

struct StatOptions {
  TargetOptions target;
  double interval_s = 1;
  uint64_t count = 0;            // 0: until interrupted
  std::string backend = "auto";  // or the name of one
  bool cost = false;             // also what the probes themselves cost
  bool sockets = false;          // also how full the socket queues are
  bool stages = false;           // the five stages instead of the queue
  bool per_thread = false;       // workers summed: by thread,
  bool per_epoll = false;        // or by epoll instance
  std::string separator;         // lines for programs, with it between the values; empty: a table
  bool json = false;             // a JSON object per interval
  double budget_percent = 1;     // what the probes may cost, of one CPU per process; 0: no limit
};

struct TopOptions {
  TargetOptions target;  // none: all epoll instances of the host, sampled
  double interval_s = 2;
  uint64_t count = 0;  // 0: until interrupted
  double hz = 10;      // passes a second
  size_t rows = 0;     // 0: what fits on the screen
  bool json = false;
  double budget_percent = 1;  // as of `stat`
};

struct RecordOptions {
  TargetOptions target;  // none: the command itself
  std::string output = "epulse.data";
  double interval_s = 1;
  double duration_s = 0;      // 0: until the command ends or an interrupt
  double budget_percent = 1;  // as of `stat`
  uint32_t sample_every = 0;
  uint32_t exception_depth = 500;
  uint64_t exception_wakeup_us = 1000;
  uint64_t size_max = 0;  // bytes of the file; 0: no limit
  bool ring = false;      // at the limit the oldest makes room, else it ends
  std::vector<std::string> command;
};

struct ReportOptions {
  std::string input = "epulse.data";
  report::StdioOptions stdio;
  std::string html;               // the page's file; empty: text on standard output
  std::vector<std::string> diff;  // two files to compare; empty: show one
  std::string join;               // what epulse-load recorded meanwhile; empty: nothing
  bool json = false;
};

struct ScriptOptions {
  std::string input = "epulse.data";
  bool json = false;
};

int run_list(bool json);
int run_top(const TopOptions& options);
int run_stat(const StatOptions& options);
int run_record(const RecordOptions& options);
int run_report(const ReportOptions& options);
int run_script(const ScriptOptions& options);
struct DoctorOptions {
  bool json = false;
  std::string backend = "auto";
};

int run_doctor(const DoctorOptions& options);

// `epulse stat` where BPF is refused: the scheduler's own figures and the bundled server's stats
// page.
int run_procfs_stat(const StatOptions& options, pid_t pid, Watch& watch, const std::string& why);

}  // namespace epulse::cli
