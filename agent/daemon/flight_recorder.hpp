#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "agent/config/config.hpp"
#include "agent/daemon/target_sampler.hpp"
#include "agent/export/record_writer.hpp"
#include "common/unique_fd.hpp"

namespace epulse::daemon {

// Keeps the last seconds of what was measured and, when an alarm fires, writes them and the seconds
// that follow into a record file (`epulse report -i`). A file that cannot be written costs the
// recording alone, and is said.
class FlightRecorder {
 public:
  // `meta` describes the target, as record files do. Recordings are named by its `process`: of
  // those the oldest go, and nobody else's.
  FlightRecorder(const config::Capture& config, uint64_t interval_ms, const std::string& process,
                 record::Meta meta);

  // Once per interval.
  void keep(const TargetSample& sample);

  // The path of the recording that shows the interval of now; one that is under way is continued.
  // Empty when none could be made.
  std::string capture(const std::string& why);

  // Closes the recording that is under way, if any.
  void finish();

 private:
  struct Moment {
    model::EpollSnapshot epoll;
    record::ThreadNames names;
    std::vector<epoll_wait_record> waits;
    int64_t began_unix_ms = 0;
  };

  void write(const Moment& moment);
  void remove_oldest(size_t keep) const;
  UniqueFd new_file();

  config::Capture config_;
  std::string prefix_;  // of its files' names; the time follows
  size_t before_;       // intervals
  size_t after_;
  record::Meta meta_;
  std::deque<Moment> moments_;
  std::unique_ptr<record::RecordWriter> writer_;
  std::string path_;
  size_t followed_ = 0;  // intervals since the alarm
  size_t left_ = 0;      // intervals still to be written
  unsigned made_ = 0;
};

}  // namespace epulse::daemon
