#include "agent/export/record_writer.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <utility>

#include "agent/error.hpp"
#include "agent/export/byte_stream.hpp"
#include "agent/export/checksum.hpp"
#include "agent/export/connection_block.hpp"
#include "agent/export/record_source.hpp"
#include "agent/export/wait_block.hpp"

namespace epulse::record {
namespace {

constexpr size_t kCopyBytes = 256U << 10;

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

std::string encode(const Meta& meta) {
  ByteWriter out;
  for (const auto& [key, value] : meta) {
    out.text(key);
    out.text(value);
  }
  return out.str();
}

}  // namespace

std::string path_before(const std::string& path) {
  return path + ".before";
}

RecordWriter::RecordWriter(std::string path, uint64_t ring_bytes)
    : path_(std::move(path)), before_path_(path_before(path_)), ring_bytes_(ring_bytes) {
  open_file();
  if (ring_bytes_ == 0) return;
  struct stat status {};
  if (fstat(fd_, &status) != 0 || !S_ISREG(status.st_mode)) {
    close(fd_);
    fail("cannot keep a ring in {}: it is no regular file; give -o FILE", path_);
  }
  unlink(before_path_.c_str());  // of a recorder that crashed
}

RecordWriter::RecordWriter(std::string path, UniqueFd file)
    : path_(std::move(path)),
      before_path_(path_before(path_)),
      fd_(file.release()),
      ring_bytes_(0) {
  begin_file();
}

RecordWriter::~RecordWriter() {
  close(fd_);
}

void RecordWriter::open_file() {
  // Who was served and when is nobody else's business; as perf has it.
  fd_ = open(path_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (fd_ < 0) fail("cannot create {}: {}", path_, errno_text(errno));
  begin_file();
}

void RecordWriter::begin_file() {
  bytes_ = 0;
  ++files_;
  try {
    write_all(kMagic);
  } catch (const Error&) {
    close(fd_);
    fd_ = -1;
    throw;
  }
}

void RecordWriter::meta(const Meta& meta) {
  for (const auto& [key, value] : meta) meta_[key] = value;
  block(BlockType::kMeta, encode(meta));
}

void RecordWriter::interval(const model::EpollSnapshot& interval, const ThreadNames& names) {
  const auto put_name = [&](ByteWriter& out, uint32_t id) {
    const auto name = id == 0 ? names.end() : names.find(id);
    out.text(name == names.end() ? std::string_view{} : std::string_view(name->second));
  };
  ByteWriter out;
  out.number(interval.time_ns);
  out.number(interval.duration_ns);
  out.number(interval.detailed_ns);
  const model::EpollLosses& losses = interval.losses;
  out.number(losses.waits_dropped);
  out.number(losses.workers_dropped);
  out.number(losses.instances_dropped);
  out.number(losses.targets_dropped);
  out.number(losses.runs_missed);
  out.number(losses.waits_dropped_by_cpu.size());
  for (const uint64_t dropped : losses.waits_dropped_by_cpu) out.number(dropped);
  out.number(interval.workers.size());
  for (const model::WorkerStats& worker : interval.workers) {
    out.number(worker.key.epoll_id);
    out.number(worker.key.tid);
    out.number(static_cast<uint32_t>(worker.key.epfd));
    out.number(worker.key.first_seen_ns);
    out.number(worker.key.tgid);
    out.number(worker.max_events);
    put_name(out, worker.key.tid);
    put_name(out, worker.key.tgid);
    // Each group says how many it holds, so that a reader can skip what a later version adds.
    out.number(worker.counters.size());
    for (const uint64_t value : worker.counters) out.number(value);
    out.number(worker.stages.size());
    for (const auto& histogram : worker.stages) put_histogram(out, histogram);
    out.number(worker.items.size());
    for (const auto& histogram : worker.items) put_histogram(out, histogram);
  }
  block(BlockType::kInterval, out.str());
}

void RecordWriter::waits(std::span<const epoll_wait_record> waits) {
  while (!waits.empty()) {
    const auto part = waits.first(std::min(kWaitsInBlockMax, waits.size()));
    block(BlockType::kWaits, encode_waits(part));
    waits = waits.subspan(part.size());
  }
}

void RecordWriter::connections(uint64_t time_ns, std::span<const WatchedConnection> connections) {
  while (!connections.empty()) {
    const auto part = connections.first(std::min(kConnectionsInBlockMax, connections.size()));
    block(BlockType::kConnections, encode_connections(time_ns, part));
    connections = connections.subspan(part.size());
  }
}

void RecordWriter::finish() {
  if (before_bytes_ != 0) return join_files();
  block(BlockType::kEnd, {});
}

// Each file of a ring can be read by itself, so it has all meta.
void RecordWriter::start_next_file() {
  if (rename(path_.c_str(), before_path_.c_str()) != 0) {
    fail("cannot rename {} to {}: {}", path_, before_path_, errno_text(errno));
  }
  dropped_bytes_ += before_bytes_;
  before_bytes_ = bytes_;
  close(fd_);
  open_file();
  block(BlockType::kMeta, encode(meta_));
}

// Into a third file, which takes the newer one's place when it has its end: until then that one
// counts as cut short, and the two are what they were.
void RecordWriter::join_files() {
  const std::string joined = path_ + ".joined";
  const uint64_t newer_bytes = std::exchange(bytes_, 0);
  close(fd_);
  fd_ = open(joined.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (fd_ < 0) fail("cannot create {}: {}", joined, errno_text(errno));
  try {
    append_file(before_path_, before_bytes_);
    append_file(path_, newer_bytes);
    before_bytes_ = 0;
    block(BlockType::kEnd, {});
    if (rename(joined.c_str(), path_.c_str()) != 0) {
      fail("cannot rename {} to {}: {}", joined, path_, errno_text(errno));
    }
  } catch (const Error& error) {
    unlink(joined.c_str());
    fail("{}; its halves stay: cat {} {} > whole.data", error.what(), before_path_, path_);
  }
  unlink(before_path_.c_str());
}

void RecordWriter::append_file(const std::string& path, uint64_t bytes) {
  FileSource source(path);
  for (uint64_t at = 0; at < bytes;) {
    const std::string_view part = source.view(at, std::min<uint64_t>(kCopyBytes, bytes - at));
    if (part.empty()) fail("cannot read {}: it ends after {} of {} bytes", path, at, bytes);
    write_all(part);
    at += part.size();
  }
}

void RecordWriter::block(BlockType type, std::string_view payload) {
  if (payload.size() > kPayloadBytesMax) {
    fail(
        "cannot write {}: an interval of {} bytes is more than a reader takes ({}); record fewer "
        "processes, or shorter intervals",
        path_, payload.size(), kPayloadBytesMax);
  }
  const uint32_t fields[2] = {static_cast<uint32_t>(type), static_cast<uint32_t>(payload.size())};
  const std::string_view head(reinterpret_cast<const char*>(fields), sizeof(fields));
  const uint32_t checksum = block_checksum(head, payload);
  std::string data(kBlockMarker);
  data.append(head);
  data.append(reinterpret_cast<const char*>(&checksum), sizeof(checksum));
  data.append(payload);
  write_all(data);
  const bool counted = type == BlockType::kInterval || type == BlockType::kWaits;
  if (counted && ring_bytes_ != 0 && bytes_ >= ring_bytes_ / 2) start_next_file();
}

void RecordWriter::write_all(std::string_view data) {
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
