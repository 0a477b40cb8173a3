#include "agent/export/wait_block.hpp"

#include <algorithm>
#include <cstring>
#include <map>
#include <tuple>

#include "agent/export/byte_stream.hpp"
#include "agent/export/record_format.hpp"

namespace epulse::record {
namespace {

// The shortest record: time, worker, reasons, CPU.
constexpr uint64_t kWaitBytesMin = 4;

struct WaitWorker {
  uint64_t epoll_id = 0;
  uint32_t tid = 0;
  int32_t epfd = 0;
  auto operator<=>(const WaitWorker&) const = default;
};

WaitWorker worker_of(const epoll_wait_record& wait) {
  return {wait.epoll_id, wait.tid, wait.epfd};
}

}  // namespace

std::string encode_waits(std::span<const epoll_wait_record> waits) {
  std::map<WaitWorker, uint64_t> indices;
  for (const epoll_wait_record& wait : waits) indices.try_emplace(worker_of(wait), 0);
  ByteWriter out;
  out.number(EPOLL_STAGES);
  out.number(EPOLL_ITEMS);
  out.number(indices.size());
  uint64_t next = 0;
  for (auto& [worker, index] : indices) {
    index = next++;
    out.number(worker.epoll_id);
    out.number(worker.tid);
    out.number(static_cast<uint32_t>(worker.epfd));
  }
  out.number(waits.size());
  uint64_t time_ns = 0;
  for (const epoll_wait_record& wait : waits) {
    out.difference(wait.time_ns, time_ns);
    time_ns = wait.time_ns;
    out.number(indices.at(worker_of(wait)));
    out.number(wait.reasons);
    out.number(wait.cpu);
    for (const uint64_t ns : wait.stage_ns) out.number(ns);
    for (const uint32_t items : wait.items) out.number(items);
  }
  return out.str();
}

bool decode_waits(std::string_view payload, std::vector<epoll_wait_record>& waits) {
  ByteReader in(payload);
  waits.clear();
  const uint64_t stages = in.number();
  const uint64_t items = in.number();
  const uint64_t worker_count = in.number();
  if (worker_count > kWaitsInBlockMax) return false;
  std::vector<WaitWorker> workers(worker_count);
  for (WaitWorker& worker : workers) {
    worker.epoll_id = in.number();
    worker.tid = static_cast<uint32_t>(in.number());
    worker.epfd = static_cast<int32_t>(in.number());
  }
  const uint64_t count = in.number();
  if (!in.ok() || count > std::min<uint64_t>(kWaitsInBlockMax, in.left() / kWaitBytesMin)) {
    return false;
  }
  waits.reserve(count);
  uint64_t time_ns = 0;
  for (uint64_t i = 0; i < count; ++i) {
    epoll_wait_record& wait = waits.emplace_back();
    wait.time_ns = time_ns = in.difference(time_ns);
    const uint64_t index = in.number();
    if (index >= workers.size()) return false;
    wait.epoll_id = workers[index].epoll_id;
    wait.tid = workers[index].tid;
    wait.epfd = workers[index].epfd;
    wait.reasons = static_cast<uint32_t>(in.number());
    wait.cpu = static_cast<uint32_t>(in.number());
    // As many as the file has into as many as we know; what a later version added is dropped.
    for (uint64_t stage = 0; stage < stages && in.ok(); ++stage) {
      const uint64_t ns = in.number();
      if (stage < EPOLL_STAGES) wait.stage_ns[stage] = ns;
    }
    for (uint64_t item = 0; item < items && in.ok(); ++item) {
      const uint64_t value = in.number();
      if (item < EPOLL_ITEMS) wait.items[item] = static_cast<uint32_t>(value);
    }
    if (!in.ok()) return false;
  }
  return true;
}

}  // namespace epulse::record
