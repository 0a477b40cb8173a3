#include "agent/export/record_reader.hpp"

#include <zlib.h>

#include <cstring>
#include <fstream>
#include <sstream>

#include "agent/error.hpp"
#include "agent/export/byte_stream.hpp"

namespace epulse::record {
namespace {

bool take_histogram(ByteReader& in, model::Histogram& histogram) {
  const model::HistogramShape shape = histogram.shape();
  std::vector<__u64> slots(shape.slots());
  const uint64_t count = in.number();
  const uint64_t sum = in.number();
  const uint64_t max = in.number();
  uint64_t next = 0;
  while (const uint64_t distance = in.number()) {
    const uint64_t value = in.number();
    if (distance > slots.size() - next) return false;
    next += distance;
    slots[next - 1] = value;
  }
  histogram = model::Histogram(shape, count, sum, max, slots.data());
  return in.ok();
}

// Reads as many as the file has into as many as we know; drops what a later version added.
template <size_t N>
bool take_histograms(ByteReader& in, std::array<model::Histogram, N>& histograms) {
  const uint64_t stored = in.number();
  for (uint64_t i = 0; i < stored && in.ok(); ++i) {
    model::Histogram unknown(histograms[0].shape());
    if (!take_histogram(in, i < N ? histograms[i] : unknown)) return false;
  }
  return in.ok();
}

// A block whose body turns out malformed adds nothing: only what stands before damage is shown.
bool take_interval(ByteReader in, Recording& recording, model::EpollTotal& total) {
  model::EpollSnapshot interval;
  ThreadNames names = recording.names;
  interval.time_ns = in.number();
  interval.duration_ns = in.number();
  interval.losses.waits_dropped = in.number();
  interval.losses.workers_dropped = in.number();
  interval.losses.instances_dropped = in.number();
  const uint64_t workers = in.number();
  for (uint64_t i = 0; i < workers && in.ok(); ++i) {
    model::WorkerStats worker;
    worker.key.epoll_id = in.number();
    worker.key.tid = static_cast<uint32_t>(in.number());
    worker.key.epfd = static_cast<int32_t>(in.number());
    worker.key.first_seen_ns = in.number();
    worker.max_events = static_cast<uint32_t>(in.number());
    const std::string_view name = in.text();
    const uint64_t counters = in.number();
    for (uint64_t c = 0; c < counters && in.ok(); ++c) {
      const uint64_t value = in.number();
      if (c < worker.counters.size()) worker.counters[c] = value;
    }
    if (!take_histograms(in, worker.stages) || !take_histograms(in, worker.items)) return false;
    if (!name.empty()) names[worker.key.tid] = name;
    interval.workers.push_back(std::move(worker));
  }
  // A file of before several processes could be watched ends here.
  if (in.ok() && !in.at_end()) {
    interval.losses.targets_dropped = in.number();
    for (model::WorkerStats& worker : interval.workers) {
      worker.key.tgid = static_cast<uint32_t>(in.number());
      const std::string_view name = in.text();
      if (worker.key.tgid != 0 && !name.empty()) names[worker.key.tgid] = name;
    }
  }
  // One of before there was a budget ends here: everything was measured all the time.
  interval.detailed_ns = interval.duration_ns;
  if (in.ok() && !in.at_end()) {
    interval.detailed_ns = in.number();
    interval.losses.runs_missed = in.number();
    const uint64_t cpus = in.number();
    for (uint64_t cpu = 0; cpu < cpus && in.ok(); ++cpu) {
      interval.losses.waits_dropped_by_cpu.push_back(in.number());
    }
  }
  if (!in.ok()) return false;
  total.add(interval);
  recording.names = std::move(names);
  ++recording.intervals;
  return true;
}

bool take_waits(ByteReader in, Recording& recording) {
  const uint64_t stride = in.number();
  const uint64_t count = in.number();
  if (stride < sizeof(epoll_wait_record)) return false;
  std::vector<epoll_wait_record> waits;
  for (uint64_t i = 0; i < count; ++i) {
    const std::string_view bytes = in.bytes(stride);
    if (!in.ok()) return false;
    memcpy(&waits.emplace_back(), bytes.data(), sizeof(epoll_wait_record));
  }
  recording.waits.insert(recording.waits.end(), waits.begin(), waits.end());
  return true;
}

bool take_meta(ByteReader in, Recording& recording) {
  Meta meta = recording.meta;
  while (!in.at_end()) {
    const std::string key(in.text());
    const std::string value(in.text());
    if (!in.ok()) return false;
    meta[key] = value;
  }
  recording.meta = std::move(meta);
  return true;
}

}  // namespace

Recording parse_recording(std::string_view contents, const std::string& name) {
  if (!contents.starts_with(kMagic)) {
    fail("{} is not an epulse recording; `epulse record -o FILE` makes one", name);
  }
  Recording recording;
  model::EpollTotal total;
  bool ended = false;
  size_t at = kMagic.size();
  while (at < contents.size() && recording.damage.empty()) {
    const size_t left = contents.size() - at;
    uint32_t header[3] = {};
    if (left >= kBlockHeaderBytes) memcpy(header, contents.data() + at, kBlockHeaderBytes);
    if (left < kBlockHeaderBytes || header[1] > kPayloadBytesMax ||
        header[1] > left - kBlockHeaderBytes) {
      recording.damage = fmt::format("cut short in the block at byte {}", at);
      break;
    }
    const std::string_view payload = contents.substr(at + kBlockHeaderBytes, header[1]);
    uLong crc = crc32(0, reinterpret_cast<const Bytef*>(contents.data() + at), 8);
    crc = crc32(crc, reinterpret_cast<const Bytef*>(payload.data()), header[1]);
    bool good = crc == header[2];
    if (good) {
      switch (static_cast<BlockType>(header[0])) {
        case BlockType::kMeta:
          good = take_meta(ByteReader(payload), recording);
          break;
        case BlockType::kInterval:
          good = take_interval(ByteReader(payload), recording, total);
          break;
        case BlockType::kWaits:
          good = take_waits(ByteReader(payload), recording);
          break;
        case BlockType::kEnd:
          ended = true;
          break;
        default:  // of a later version
          break;
      }
    }
    if (!good) recording.damage = fmt::format("corrupt block at byte {}", at);
    at += kBlockHeaderBytes + payload.size();
  }
  if (recording.damage.empty() && !ended) {
    recording.damage = fmt::format("cut short: no end block after byte {}", contents.size());
  }
  recording.total = total.total();
  return recording;
}

Recording read_recording(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) fail("cannot read {}: {}", path, errno_text(errno));
  std::ostringstream contents;
  contents << file.rdbuf();
  return parse_recording(contents.str(), path);
}

}  // namespace epulse::record
