#pragma once

#include <string>
#include <vector>

#include "agent/export/record_format.hpp"
#include "agent/model/epoll_stats.hpp"

namespace epulse::cli {

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
