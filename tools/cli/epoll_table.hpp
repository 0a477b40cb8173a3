#pragma once

#include <cstdio>

#include "agent/export/record_format.hpp"
#include "agent/model/epoll_stats.hpp"

namespace epulse::cli {

// The live table: a header now and then, a line per worker that was active in the interval.
class EpollTable {
 public:
  // `processes`: the rows say whose thread it is.
  explicit EpollTable(bool processes) : processes_(processes) {}
  void print(const model::EpollSnapshot& interval, const record::ThreadNames& names);

 private:
  void print_header();

  bool processes_;
  size_t label_width_ = 24;
  size_t lines_since_header_ = 0;
  bool header_printed_ = false;
};

// The breakdown of a whole run: counters, stages and queue figures per worker, with a verdict.
void print_summary(const model::EpollSnapshot& total, const record::ThreadNames& names);

// bcc-style histogram bars, one line per octave.
void print_histogram(const char* title, const model::Histogram& histogram, bool durations);

// What was lost on the way, if anything; every report ends with it.
void print_losses(const model::EpollLosses& losses);

// "worker-1[4712]"; with the process, "nginx[4711]/worker-1[4712]".
std::string worker_label(const model::WorkerKey& key, const record::ThreadNames& names,
                         bool process = false);

// Of more than one process?
bool several_processes(const std::vector<model::WorkerStats>& workers);

}  // namespace epulse::cli
