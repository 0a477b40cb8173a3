// The mapped statistics of a worker, whatever stands there: through intervals, totals, the report
// and a recording.
#include <cstring>

#include "agent/model/epoll_stats.hpp"
#include "tests/fuzz/recording.hpp"
#include "tests/fuzz/target.hpp"

namespace epulse::fuzz {
namespace {

constexpr size_t kWords = sizeof(epoll_worker_stats) / sizeof(uint64_t);

// An input is a sequence of these: 60 KB of mostly zeros would leave little to chance.
struct Word {
  uint16_t index;
  uint64_t value;
};
constexpr size_t kWordBytes = 10;

void apply(const std::string_view bytes, epoll_worker_stats& raw) {
  for (size_t at = 0; at + kWordBytes <= bytes.size(); at += kWordBytes) {
    Word word{};
    memcpy(&word.index, bytes.data() + at, sizeof(word.index));
    memcpy(&word.value, bytes.data() + at + sizeof(word.index), sizeof(word.value));
    const size_t offset = word.index % kWords * sizeof(uint64_t);
    memcpy(reinterpret_cast<char*>(&raw) + offset, &word.value, sizeof(word.value));
  }
}

template <typename Raw>
bool same_histogram(const model::Histogram& histogram, const Raw& raw) {
  return histogram == model::Histogram::live(histogram.shape(), raw.sum, raw.max, raw.slots);
}

void require_faithful(const model::WorkerStats& stats, const epoll_worker_stats& raw) {
  require(
      stats.key == model::WorkerKey{raw.epoll_id, raw.tid, raw.epfd, raw.first_seen_ns, raw.tgid},
      "the key is the slot's");
  require(memcmp(stats.counters.data(), raw.counters, sizeof(raw.counters)) == 0,
          "counters are the slot's");
  for (size_t i = 0; i < stats.stages.size(); ++i) {
    require(same_histogram(stats.stages[i], raw.stages[i]), "stages are the slot's");
  }
  for (size_t i = 0; i < stats.items.size(); ++i) {
    require(same_histogram(stats.items[i], raw.items[i]), "items are the slot's");
  }
}

model::EpollSnapshot snapshot_of(const epoll_worker_stats& raw) {
  model::EpollSnapshot snapshot;
  snapshot.workers.push_back(model::WorkerStats::from_raw(raw));
  require_faithful(snapshot.workers[0], raw);
  return snapshot;
}

void require_all(std::string_view input) {
  // Two looks at one slot; the second also has what the second half of the input changed.
  epoll_worker_stats raw{};
  model::EpollIntervals intervals(0);
  model::EpollTotal total;
  const size_t half = input.size() / 2 / kWordBytes * kWordBytes;
  apply(input.substr(0, half), raw);
  total.add(intervals.advance(snapshot_of(raw)));
  apply(input.substr(half), raw);
  total.add(intervals.advance(snapshot_of(raw)));

  Recording recording;
  recording.total = total.total();
  show(encoded(recording));
  require_round_trip(recording);
}

std::string word(size_t offset, uint64_t value) {
  const auto index = static_cast<uint16_t>(offset / sizeof(uint64_t));
  std::string bytes(kWordBytes, '\0');
  memcpy(bytes.data(), &index, sizeof(index));
  memcpy(bytes.data() + sizeof(index), &value, sizeof(value));
  return bytes;
}

}  // namespace

std::vector<std::string> seeds() {
  std::string bytes = word(offsetof(epoll_worker_stats, tid), 4711);
  for (size_t i = 0; i < EPOLL_COUNTERS; ++i) {
    bytes += word(offsetof(epoll_worker_stats, counters) + i * sizeof(uint64_t), 3);
  }
  for (size_t i = 0; i < EPOLL_STAGES; ++i) {
    const size_t at = offsetof(epoll_worker_stats, stages) + i * sizeof(ns_histogram);
    bytes += word(at, 3) + word(at + 8, 3000) + word(at + 16, 2000) +
             word(at + offsetof(ns_histogram, slots[99]), 3);
  }
  for (size_t i = 0; i < EPOLL_ITEMS; ++i) {
    const size_t at = offsetof(epoll_worker_stats, items) + i * sizeof(items_histogram);
    bytes += word(at, 3) + word(at + 8, 9) + word(at + 16, 3) +
             word(at + offsetof(items_histogram, slots[3]), 3);
  }
  // One value, as large as they get: chance alone would take long to come by it.
  const size_t handler =
      offsetof(epoll_worker_stats, stages) + EPOLL_STAGE_HANDLER * sizeof(ns_histogram);
  const std::string largest = word(handler, 1) + word(handler + 8, ~0ULL);
  return {bytes, bytes + bytes, bytes + largest};
}

}  // namespace epulse::fuzz

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  epulse::fuzz::require_all(epulse::fuzz::text_of(data, size));
  return 0;
}
