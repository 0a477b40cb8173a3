#include "agent/export/record_writer.hpp"

#include <fcntl.h>
#include <unistd.h>
#include <zlib.h>

#include <algorithm>
#include <cstring>

#include "agent/error.hpp"
#include "agent/export/byte_stream.hpp"

namespace epulse::record {
namespace {

// Far from kPayloadBytesMax.
constexpr size_t kWaitsInBlockMax = 100'000;

void put_histogram(ByteWriter& out, const model::Histogram& histogram) {
  out.number(histogram.count());
  out.number(histogram.sum());
  out.number(histogram.max());
  // Sparse: pairs of (distance from the slot before, value), closed by a distance of 0.
  uint64_t last = 0;
  const auto& slots = histogram.slots();
  for (size_t i = 0; i < slots.size(); ++i) {
    if (slots[i] == 0) continue;
    out.number(i + 1 - last);
    out.number(slots[i]);
    last = i + 1;
  }
  out.number(0);
}

}  // namespace

RecordWriter::RecordWriter(std::string path)
    : path_(std::move(path)),
      fd_(open(path_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644)) {
  if (fd_ < 0) fail("cannot create {}: {}", path_, errno_text(errno));
  write_all(std::string(kMagic));
}

RecordWriter::~RecordWriter() {
  close(fd_);
}

void RecordWriter::meta(const Meta& meta) {
  ByteWriter out;
  for (const auto& [key, value] : meta) {
    out.text(key);
    out.text(value);
  }
  block(BlockType::kMeta, out.str());
}

void RecordWriter::interval(const model::EpollSnapshot& interval, const ThreadNames& names) {
  ByteWriter out;
  out.number(interval.time_ns);
  out.number(interval.duration_ns);
  out.number(interval.losses.waits_dropped);
  out.number(interval.losses.workers_dropped);
  out.number(interval.losses.instances_dropped);
  out.number(interval.workers.size());
  for (const model::WorkerStats& worker : interval.workers) {
    out.number(worker.key.epoll_id);
    out.number(worker.key.tid);
    out.number(static_cast<uint32_t>(worker.key.epfd));
    out.number(worker.key.first_seen_ns);
    out.number(worker.max_events);
    const auto name = names.find(worker.key.tid);
    out.text(name == names.end() ? std::string_view{} : std::string_view(name->second));
    // Each group says how many it holds, so that a reader can skip what a later version adds.
    out.number(worker.counters.size());
    for (const uint64_t value : worker.counters) out.number(value);
    out.number(worker.stages.size());
    for (const auto& histogram : worker.stages) put_histogram(out, histogram);
    out.number(worker.items.size());
    for (const auto& histogram : worker.items) put_histogram(out, histogram);
  }
  // What came later, behind all that an old reader knows.
  out.number(interval.losses.targets_dropped);
  for (const model::WorkerStats& worker : interval.workers) {
    const auto name = worker.key.tgid == 0 ? names.end() : names.find(worker.key.tgid);
    out.number(worker.key.tgid);
    out.text(name == names.end() ? std::string_view{} : std::string_view(name->second));
  }
  out.number(interval.detailed_ns);
  out.number(interval.losses.runs_missed);
  out.number(interval.losses.waits_dropped_by_cpu.size());
  for (const uint64_t dropped : interval.losses.waits_dropped_by_cpu) out.number(dropped);
  block(BlockType::kInterval, out.str());
}

void RecordWriter::waits(const std::vector<epoll_wait_record>& waits) {
  for (size_t at = 0; at < waits.size(); at += kWaitsInBlockMax) {
    const size_t count = std::min(kWaitsInBlockMax, waits.size() - at);
    ByteWriter out;
    out.number(sizeof(epoll_wait_record));
    out.number(count);
    out.bytes(&waits[at], count * sizeof(epoll_wait_record));
    block(BlockType::kWaits, out.str());
  }
}

void RecordWriter::finish() {
  block(BlockType::kEnd, {});
}

void RecordWriter::block(BlockType type, const std::string& payload) {
  uint32_t header[3] = {static_cast<uint32_t>(type), static_cast<uint32_t>(payload.size()), 0};
  std::string data(kBlockHeaderBytes, '\0');
  memcpy(data.data(), header, 8);
  uLong crc = crc32(0, reinterpret_cast<const Bytef*>(data.data()), 8);
  crc =
      crc32(crc, reinterpret_cast<const Bytef*>(payload.data()), static_cast<uInt>(payload.size()));
  header[2] = static_cast<uint32_t>(crc);
  memcpy(data.data(), header, kBlockHeaderBytes);
  write_all(data + payload);
}

void RecordWriter::write_all(const std::string& data) {
  for (size_t done = 0; done < data.size();) {
    const ssize_t n = write(fd_, data.data() + done, data.size() - done);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) {
      fail("cannot write {}: {}; what was written before is readable", path_, errno_text(errno));
    }
    done += static_cast<size_t>(n);
  }
  bytes_ += data.size();
}

}  // namespace epulse::record
