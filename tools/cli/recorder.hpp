#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "agent/export/record_writer.hpp"
#include "agent/probes/epoll_probe.hpp"
#include "agent/probes/overhead_control.hpp"
#include "tools/cli/commands.hpp"
#include "tools/cli/connection_log.hpp"
#include "tools/cli/target.hpp"

namespace epulse::cli {

// Single waits between the ring buffer and the file.
class PendingWaits {
 public:
  explicit PendingWaits(const Target& target) : target_(target) {}
  void add(const epoll_wait_record& wait) {
    if (target_.wants(wait)) waits_.push_back(wait);
  }
  std::vector<epoll_wait_record>& all() { return waits_; }

 private:
  const Target& target_;
  std::vector<epoll_wait_record> waits_;
};

// From the probe to the file, interval by interval.
class Recorder {
 public:
  Recorder(const RecordOptions& options, const Target& target, probes::EpollProbe& probe,
           PendingWaits& pending);

  void start(const record::Meta& meta);
  // Between two ends of an interval, when many wait: memory stays bounded, and a crash loses less.
  void take_waits();
  // `more`: another one follows.
  void interval_ends(bool more);
  // Has it lasted as long, or is the file as large, as was asked for?
  bool is_over() const;
  // Ends the file, and tells what is in it.
  void finish();

  uint64_t deliveries() const { return deliveries_; }

 private:
  void write_waits();
  void write_connections(const model::EpollSnapshot& interval, bool last);
  void show_progress();
  std::string amount_text() const;

  const RecordOptions& options_;
  const Target& target_;
  probes::EpollProbe& probe_;
  PendingWaits& pending_;
  record::RecordWriter writer_;
  probes::OverheadControl control_;
  model::EpollIntervals intervals_;
  record::ThreadNames names_;
  ConnectionLog connections_;
  uint64_t files_ = 0;
  std::string overhead_;
  uint64_t deliveries_ = 0;
  uint64_t waits_ = 0;
  uint64_t waits_dropped_ = 0;
  uint64_t elapsed_ns_ = 0;
  bool on_terminal_;
};

}  // namespace epulse::cli
