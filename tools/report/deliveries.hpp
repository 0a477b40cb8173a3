#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "agent/export/record_reader.hpp"
#include "tools/report/handler_times.hpp"

namespace epulse::report {

// An epoll_wait that returned events. Durations are 0 where the stage did not occur.
struct Delivery {
  uint64_t time_ns = 0;
  uint64_t epoll_id = 0;
  uint64_t ready_to_delivered_ns = 0;  // of the oldest event
  uint64_t woken_to_running_ns = 0;
  uint64_t running_to_delivered_ns = 0;
  uint64_t handler_ns = 0;  // 0: unknown
  uint32_t tid = 0;
  uint32_t events = 0;
  bool saturated = false;  // so that others may have stayed on the ready list
};

// A TCP connection by its ends: the client's, the server's.
using Ends = std::pair<std::string, std::string>;

// What a load is laid beside.
struct Wanted {
  uint64_t from_ns = 0;
  uint64_t to_ns = ~uint64_t{0};
  std::set<Ends> connections;
};

// All deliveries of a stretch of time, by instance, and who watches which connection: some 90 bytes
// for each delivery.
class Deliveries final : public record::RecordVisitor {
 public:
  explicit Deliveries(Wanted wanted) : wanted_(std::move(wanted)) {}

  void on_meta(const record::Meta& meta) override;
  void on_interval(const model::EpollSnapshot& interval, const record::ThreadNames& names) override;
  void on_waits(std::span<const epoll_wait_record> waits) override;
  void on_connections(uint64_t time_ns,
                      std::span<const record::WatchedConnection> connections) override;
  // When all of the recording has been told.
  void finish();

  const record::Meta& meta() const { return meta_; }
  const record::ThreadNames& names() const { return names_; }
  const HandlerTimes& handlers() const { return handlers_; }
  uint64_t waits_dropped() const { return waits_dropped_; }
  uint64_t undetailed_ns() const { return undetailed_ns_; }
  uint64_t count() const { return all_.size(); }

  std::vector<uint64_t> instances() const;
  // By time. Empty for an instance that is not there.
  std::span<const Delivery> of_instance(uint64_t epoll_id) const;
  // The instance that was seen to watch a wanted connection, at about that time; 0: none was.
  uint64_t instance_of(const Ends& connection, uint64_t at_ns) const;
  // The recorder saw connections, and none of them was wanted.
  bool watches_others_only() const { return others_seen_ && watchers_.empty(); }

 private:
  bool is_wanted(uint64_t from_ns, uint64_t to_ns) const {
    return to_ns >= wanted_.from_ns && from_ns <= wanted_.to_ns;
  }

  Wanted wanted_;
  record::Meta meta_;
  record::ThreadNames names_;
  HandlerTimes handlers_;
  uint64_t waits_dropped_ = 0;
  uint64_t undetailed_ns_ = 0;
  bool others_seen_ = false;
  std::vector<Delivery> all_;
  std::map<std::pair<uint64_t, uint32_t>, uint32_t> max_events_;  // by instance and thread
  std::map<uint64_t, std::pair<size_t, size_t>> ranges_;   // of an instance in all_: first, count
  std::map<Ends, std::map<uint64_t, uint64_t>> watchers_;  // seen at, instance
};

}  // namespace epulse::report
