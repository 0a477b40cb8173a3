#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "tools/cli/target_options.hpp"

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
  double budget_percent = 1;     // what the probes may cost, of one CPU per process; 0: no limit
};

struct TopOptions {
  double interval_s = 2;
  uint64_t count = 0;  // 0: until interrupted
  double hz = 10;      // passes a second
  size_t rows = 0;     // 0: what fits on the screen
  bool json = false;
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
  std::vector<std::string> command;
};

struct ReportOptions {
  std::string input = "epulse.data";
  bool histograms = true;
};

int run_list(bool json);
int run_top(const TopOptions& options);
int run_stat(const StatOptions& options);
int run_record(const RecordOptions& options);
int run_report(const ReportOptions& options);
struct DoctorOptions {
  bool json = false;
  std::string backend = "auto";
};

int run_doctor(const DoctorOptions& options);

// `epulse stat` where BPF is refused: the scheduler's own figures and the bundled server's stats
// page.
int run_procfs_stat(const StatOptions& options, pid_t pid, Watch& watch, const std::string& why);

}  // namespace epulse::cli
