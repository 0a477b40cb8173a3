// What tools/bench/record measures recordings with:
//   record_events write FILE COUNT    a recording of so many single waits
//   record_events wait RATE SECONDS   so many deliveries a second; prints how many there were
#include <fmt/format.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cstdlib>
#include <ctime>
#include <random>
#include <string_view>

#include "agent/export/record_writer.hpp"

namespace {

using namespace epulse;

constexpr uint64_t kSecond = 1'000'000'000;
constexpr uint64_t kWaitsPerSecond = 200'000;
constexpr uint32_t kWorkers = 8;
constexpr uint64_t kTickNs = 1'000'000;

class Events {
 public:
  epoll_wait_record next(uint64_t time_ns) {
    epoll_wait_record wait{};
    wait.time_ns = time_ns;
    const auto worker = static_cast<uint32_t>(random_() % kWorkers);
    wait.epoll_id = 0xffff888012345000 + worker * 64;
    wait.tid = 4711 + worker;
    wait.epfd = static_cast<int32_t>(7 + worker);
    wait.cpu = static_cast<uint32_t>(random_() % 16);
    for (auto& ns : wait.stage_ns) ns = static_cast<uint64_t>(stage_ns_(random_));
    wait.items[EPOLL_ITEMS_LISTED] = static_cast<uint32_t>(random_() % 200);
    wait.items[EPOLL_ITEMS_FRESH] = wait.items[EPOLL_ITEMS_BATCH] = wait.items[EPOLL_ITEMS_LISTED];
    wait.reasons = EPOLL_WAIT_SAMPLED;
    return wait;
  }

  model::EpollSnapshot interval(uint64_t second, const std::vector<epoll_wait_record>& waits) {
    model::EpollSnapshot interval;
    interval.time_ns = second * kSecond;
    interval.duration_ns = interval.detailed_ns = kSecond;
    interval.workers.resize(kWorkers);
    for (const epoll_wait_record& wait : waits) {
      model::WorkerStats& worker = interval.workers[wait.tid - 4711];
      worker.key = {wait.epoll_id, wait.tid, wait.epfd, 1, 4711};
      ++worker.counters[EPOLL_COUNTER_WAITS];
      ++worker.counters[EPOLL_COUNTER_DELIVERIES];
      for (size_t i = 0; i < EPOLL_STAGES; ++i) worker.stages[i].record(wait.stage_ns[i]);
      for (size_t i = 0; i < EPOLL_ITEMS; ++i) worker.items[i].record(wait.items[i]);
    }
    return interval;
  }

 private:
  std::mt19937_64 random_{4711};
  std::lognormal_distribution<double> stage_ns_{9.2, 1};  // around 10 us
};

void write_recording(const char* path, uint64_t count) {
  Events events;
  record::RecordWriter writer(path);
  writer.meta({{"target", "made up[4711]"}});
  for (uint64_t second = 1; count != 0; ++second) {
    std::vector<epoll_wait_record> waits;
    for (uint64_t i = 0; i < kWaitsPerSecond && count != 0; ++i, --count) {
      waits.push_back(events.next((second - 1) * kSecond + i * (kSecond / kWaitsPerSecond)));
    }
    writer.interval(events.interval(second, waits), {{4711, "server"}});
    writer.waits(waits);
  }
  writer.finish();
  fmt::print("{}\n", writer.bytes());
}

uint64_t now_ns() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<uint64_t>(now.tv_sec) * kSecond + static_cast<uint64_t>(now.tv_nsec);
}

// An eventfd that stays readable is delivered whenever one asks.
int deliver(uint64_t rate, uint64_t seconds) {
  const int epfd = epoll_create1(EPOLL_CLOEXEC);
  const int event = eventfd(1, EFD_CLOEXEC);
  epoll_event readable{EPOLLIN, {}};
  if (epfd < 0 || event < 0 || epoll_ctl(epfd, EPOLL_CTL_ADD, event, &readable) != 0) return 2;
  const uint64_t start = now_ns();
  uint64_t delivered = 0;
  for (uint64_t tick = 1; tick * kTickNs <= seconds * kSecond; ++tick) {
    // Behind after a pre-emption, it makes up for it.
    const uint64_t due = rate * tick * kTickNs / kSecond;
    for (; delivered < due; ++delivered) {
      if (epoll_wait(epfd, &readable, 1, -1) != 1) return 2;
    }
    const uint64_t next = start + tick * kTickNs;
    const timespec until{static_cast<time_t>(next / kSecond), static_cast<long>(next % kSecond)};
    clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, nullptr);
  }
  fmt::print("{}\n", delivered);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  const std::string_view mode = argc == 4 ? argv[1] : "";
  if (mode == "write") {
    write_recording(argv[2], std::strtoull(argv[3], nullptr, 10));
    return 0;
  }
  if (mode == "wait") {
    return deliver(std::strtoull(argv[2], nullptr, 10), std::strtoull(argv[3], nullptr, 10));
  }
  fmt::print(stderr, "usage: record_events write FILE COUNT | wait RATE SECONDS\n");
  return 2;
}
