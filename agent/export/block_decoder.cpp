#include "agent/export/byte_stream.hpp"
#include "agent/export/connection_block.hpp"
#include "agent/export/record_reader.hpp"
#include "agent/export/wait_block.hpp"
#include "agent/model/text.hpp"

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
  if (stored > kHistogramsMax) return false;
  for (uint64_t i = 0; i < stored && in.ok(); ++i) {
    model::Histogram unknown(histograms[0].shape());
    if (!take_histogram(in, i < N ? histograms[i] : unknown)) return false;
  }
  return in.ok();
}

void take_name(ByteReader& in, uint32_t id, ThreadNames& names) {
  const std::string_view name = in.text();
  if (id != 0 && !name.empty()) names[id] = model::printable(name);
}

bool take_workers(ByteReader& in, model::EpollSnapshot& interval, ThreadNames& names) {
  const uint64_t workers = in.number();
  if (workers > kWorkersInBlockMax) return false;
  for (uint64_t i = 0; i < workers && in.ok(); ++i) {
    model::WorkerStats worker;
    worker.key.epoll_id = in.number();
    worker.key.tid = static_cast<uint32_t>(in.number());
    worker.key.epfd = static_cast<int32_t>(in.number());
    worker.key.first_seen_ns = in.number();
    worker.key.tgid = static_cast<uint32_t>(in.number());
    worker.max_events = static_cast<uint32_t>(in.number());
    take_name(in, worker.key.tid, names);
    take_name(in, worker.key.tgid, names);
    const uint64_t counters = in.number();
    for (uint64_t c = 0; c < counters && in.ok(); ++c) {
      const uint64_t value = in.number();
      if (c < worker.counters.size()) worker.counters[c] = value;
    }
    if (!take_histograms(in, worker.stages) || !take_histograms(in, worker.items)) return false;
    interval.workers.push_back(std::move(worker));
  }
  return in.ok();
}

bool take_interval(ByteReader in, RecordVisitor& visitor) {
  model::EpollSnapshot interval;
  ThreadNames names;
  interval.time_ns = in.number();
  interval.duration_ns = in.number();
  interval.detailed_ns = in.number();
  model::EpollLosses& losses = interval.losses;
  losses.waits_dropped = in.number();
  losses.workers_dropped = in.number();
  losses.instances_dropped = in.number();
  losses.targets_dropped = in.number();
  losses.runs_missed = in.number();
  const uint64_t cpus = in.number();
  if (cpus > kCpusMax) return false;
  for (uint64_t cpu = 0; cpu < cpus && in.ok(); ++cpu) {
    losses.waits_dropped_by_cpu.push_back(in.number());
  }
  // A later version appends behind the workers.
  if (!take_workers(in, interval, names)) return false;
  visitor.on_interval(interval, names);
  return true;
}

bool take_meta(ByteReader in, RecordVisitor& visitor) {
  Meta meta;
  while (!in.at_end()) {
    const std::string_view key = in.text();
    const std::string_view value = in.text();
    if (!in.ok()) return false;
    meta[model::printable(key)] = model::printable(value);
  }
  visitor.on_meta(meta);
  return true;
}

bool take_waits(std::string_view payload, RecordVisitor& visitor) {
  std::vector<epoll_wait_record> waits;
  if (!decode_waits(payload, waits)) return false;
  visitor.on_waits(waits);
  return true;
}

bool take_connections(std::string_view payload, RecordVisitor& visitor) {
  uint64_t time_ns = 0;
  std::vector<WatchedConnection> connections;
  if (!decode_connections(payload, time_ns, connections)) return false;
  visitor.on_connections(time_ns, connections);
  return true;
}

}  // namespace

bool decode_block(BlockType type, std::string_view payload, RecordVisitor& visitor) {
  switch (type) {
    case BlockType::kMeta:
      return take_meta(ByteReader(payload), visitor);
    case BlockType::kInterval:
      return take_interval(ByteReader(payload), visitor);
    case BlockType::kWaits:
      return take_waits(payload, visitor);
    case BlockType::kEnd:
      return true;
    case BlockType::kConnections:
      return take_connections(payload, visitor);
  }
  return true;  // of a later version
}

}  // namespace epulse::record
