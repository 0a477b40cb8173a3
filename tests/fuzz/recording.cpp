#include "tests/fuzz/recording.hpp"

#include <sys/mman.h>
#include <unistd.h>

#include <cstring>

#include "agent/export/record_reader.hpp"
#include "agent/export/record_writer.hpp"
#include "tests/fuzz/target.hpp"

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

bool same_waits(const std::vector<epoll_wait_record>& a, const std::vector<epoll_wait_record>& b) {
  return a.size() == b.size() &&
         (a.empty() || memcmp(a.data(), b.data(), a.size() * sizeof(a[0])) == 0);
}

}  // namespace

bool same_contents(const record::Recording& a, const record::Recording& b) {
  return a.meta == b.meta && a.names == b.names && a.total == b.total &&
         same_waits(a.waits, b.waits);
}

std::string encoded(const record::Recording& recording) {
  const MemoryFile file;
  record::RecordWriter writer(file.path());
  writer.meta(recording.meta);
  writer.interval(recording.total, recording.names);
  writer.waits(recording.waits);
  writer.finish();
  return file.contents(writer.bytes());
}

void require_round_trip(const record::Recording& recording) {
  const record::Recording again = record::parse_recording(encoded(recording), "again");
  require(again.damage.empty(), "what the writer wrote is whole");
  require(same_contents(again, recording), "what the writer wrote reads as it was");
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
