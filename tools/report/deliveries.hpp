#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "agent/export/record_reader.hpp"

namespace epulse::report {

// An epoll_wait that returned events. Durations are 0 where the stage did not occur.
struct Delivery {
  uint64_t time_ns = 0;
  uint64_t epoll_id = 0;
  uint64_t ready_to_delivered_ns = 0;  // of the oldest event
  uint64_t woken_to_running_ns = 0;
  uint64_t running_to_delivered_ns = 0;
  uint64_t handler_ns = 0;      // 0: unknown
  uint64_t busy_before_ns = 0;  // the thread's handlers so far
  uint32_t tid = 0;
  uint32_t events = 0;
  bool saturated = false;  // by maxevents, so that others may have stayed on the ready list
};

// All deliveries of a stretch of time, by instance, and who watches which connection: 72 bytes
// each.
class Deliveries final : public record::RecordVisitor {
 public:
  Deliveries(uint64_t from_ns, uint64_t to_ns) : from_ns_(from_ns), to_ns_(to_ns) {}

  void on_meta(const record::Meta& meta) override;
  void on_interval(const model::EpollSnapshot& interval, const record::ThreadNames& names) override;
  void on_waits(std::span<const epoll_wait_record> waits) override;
  void on_connections(uint64_t time_ns,
                      std::span<const record::WatchedConnection> connections) override;
  // When all of the recording has been told.
  void finish();

  const record::Meta& meta() const { return meta_; }
  const record::ThreadNames& names() const { return names_; }
  uint64_t waits_dropped() const { return waits_dropped_; }
  uint64_t undetailed_ns() const { return undetailed_ns_; }
  uint64_t count() const { return all_.size(); }

  std::vector<uint64_t> instances() const;
  // By time. Empty for an instance that is not there.
  std::span<const Delivery> of_instance(uint64_t epoll_id) const;
  // The instance that watched the connection of the client `client` to `server` at a time; 0: none
  // is known. Where there is only one instance, it is that.
  uint64_t instance_of(const std::string& client, const std::string& server, uint64_t at_ns) const;

 private:
  uint64_t from_ns_;
  uint64_t to_ns_;
  record::Meta meta_;
  record::ThreadNames names_;
  uint64_t waits_dropped_ = 0;
  uint64_t undetailed_ns_ = 0;
  std::vector<Delivery> all_;
  std::map<std::pair<uint64_t, uint32_t>, uint32_t> max_events_;  // by instance and thread
  std::map<uint64_t, std::pair<size_t, size_t>> ranges_;   // of an instance in all_: first, count
  using Ends = std::pair<std::string, std::string>;        // client, server
  std::map<Ends, std::map<uint64_t, uint64_t>> watchers_;  // seen at, instance
};

}  // namespace epulse::report
