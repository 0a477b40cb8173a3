#include "tests/fuzz/recording.hpp"

#include <sys/mman.h>
#include <unistd.h>

#include <cstring>
#include <numeric>

#include "agent/export/record_writer.hpp"
#include "tests/fuzz/target.hpp"
#include "tools/report/join_text.hpp"
#include "tools/report/stdio.hpp"

namespace epulse::fuzz {
namespace {

// A file in memory with a path: the record writer is tried as it is, at the cost of no disk.
class MemoryFile {
 public:
  MemoryFile() : fd_(memfd_create("recording", MFD_CLOEXEC)) {
    require(fd_ >= 0, "memfd_create works");
  }
  ~MemoryFile() { close(fd_); }
  MemoryFile(const MemoryFile&) = delete;
  MemoryFile& operator=(const MemoryFile&) = delete;

  std::string path() const { return "/proc/self/fd/" + std::to_string(fd_); }

  std::string contents(size_t bytes) const {
    std::string contents(bytes, '\0');
    const ssize_t got = pread(fd_, contents.data(), bytes, 0);
    require(got == static_cast<ssize_t>(bytes), "the writer wrote as much as it says");
    return contents;
  }

 private:
  int fd_;
};

class Collector final : public record::RecordVisitor {
 public:
  void on_meta(const record::Meta& meta) override {
    for (const auto& [key, value] : meta) recording.meta[key] = value;
  }
  void on_interval(const model::EpollSnapshot& interval,
                   const record::ThreadNames& names) override {
    for (const auto& [id, name] : names) recording.names[id] = name;
    total.add(interval);
    ++recording.intervals;
  }
  void on_waits(std::span<const epoll_wait_record> waits) override {
    recording.waits.insert(recording.waits.end(), waits.begin(), waits.end());
  }

  void on_connections(uint64_t, std::span<const record::WatchedConnection> connections) override {
    recording.connections.insert(recording.connections.end(), connections.begin(),
                                 connections.end());
  }

  Recording recording;
  model::EpollTotal total;
};

bool same_waits(const std::vector<epoll_wait_record>& a, const std::vector<epoll_wait_record>& b) {
  return a.size() == b.size() &&
         (a.empty() || memcmp(a.data(), b.data(), a.size() * sizeof(a[0])) == 0);
}

// Clients of every instance that there is, and what `epulse report --join` says of them.
void join_loads(const report::Deliveries& deliveries) {
  report::LoadRecord load;
  load.connections[0] = {"127.0.0.1:54012", "127.0.0.1:9001"};
  const uint64_t last = ~uint64_t{0};
  for (const uint64_t ns : {uint64_t{0}, uint64_t{1'000'000'000}, last / 2}) {
    for (const uint64_t latency : {uint64_t{0}, uint64_t{1}, uint64_t{5'000'000}, last / 2}) {
      load.messages.push_back({ns, ns + latency / 3, ns + latency, 0});
      for (const uint64_t instance : deliveries.instances()) {
        const auto found = report::attribute(load.messages.back(), deliveries.of_instance(instance),
                                             deliveries.handlers());
        uint64_t sum = 0;
        if (found) sum = std::accumulate(found->ns.begin(), found->ns.end(), sum);
        require(!found || sum == latency, "the stages of a message add up to its latency");
      }
    }
  }
  report::join_text(load, deliveries, report::join(load, deliveries));
}

}  // namespace

Recording parse_recording(std::string_view contents) {
  record::MemorySource source(contents);
  Collector collector;
  collector.recording.condition = record::scan_recording(source, "recording", collector);
  collector.recording.total = collector.total.total();
  return collector.recording;
}

std::string without_damage(std::string_view contents, const record::RecordCondition& condition) {
  std::string intact;
  uint64_t at = 0;
  for (const record::Damage& damage : condition.damages) {
    intact += contents.substr(at, damage.at - at);
    at = damage.at + damage.bytes;
  }
  return intact.append(contents.substr(at));
}

bool same_contents(const Recording& a, const Recording& b) {
  return a.meta == b.meta && a.names == b.names && a.total == b.total &&
         same_waits(a.waits, b.waits) && a.connections == b.connections;
}

std::string encoded(const Recording& recording) {
  const MemoryFile file;
  record::RecordWriter writer(file.path());
  writer.meta(recording.meta);
  writer.interval(recording.total, recording.names);
  writer.waits(recording.waits);
  writer.connections(recording.total.time_ns, recording.connections);
  writer.finish();
  return file.contents(writer.bytes());
}

void require_round_trip(const Recording& recording) {
  const Recording again = parse_recording(encoded(recording));
  require(again.condition.whole(), "what the writer wrote is whole");
  require(same_contents(again, recording), "what the writer wrote reads as it was");
}

void show(std::string_view contents) {
  record::MemorySource source(contents);
  report::Summary summary;
  record::scan_recording(source, "recording", summary);
  report::print_report(summary, {});
  report::Deliveries deliveries({.connections = {{"127.0.0.1:54012", "127.0.0.1:9001"}}});
  record::scan_recording(source, "recording", deliveries);
  deliveries.finish();
  join_loads(deliveries);
}

model::EpollSnapshot example_interval(uint64_t waits) {
  model::EpollSnapshot interval;
  interval.time_ns = 1'000'000'000;
  interval.duration_ns = 500'000'000;
  interval.losses = {2, 1, 1};
  model::WorkerStats worker;
  worker.key = {0xffff888012345678, 4711, 7, 99};
  worker.max_events = 128;
  worker.counters.fill(waits);
  for (auto& stage : worker.stages) stage.record(12'345, waits);
  for (auto& items : worker.items) items.record(3, waits);
  interval.workers.push_back(worker);
  return interval;
}

epoll_wait_record example_wait() {
  epoll_wait_record wait{};
  wait.time_ns = 1'000'000'000;
  wait.epoll_id = 0xffff888012345678;
  wait.tid = 4711;
  wait.epfd = 7;
  wait.items[EPOLL_ITEMS_LISTED] = 812;
  wait.stage_ns[EPOLL_STAGE_WOKEN_TO_RUNNING] = 4'850'000;
  wait.reasons = EPOLL_WAIT_DEEP | EPOLL_WAIT_LATE;
  return wait;
}

}  // namespace epulse::fuzz
