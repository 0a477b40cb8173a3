#include "tools/load/run.hpp"

#include <fmt/format.h>
#include <poll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <exception>
#include <functional>

#include "tools/load/clock.hpp"
#include "tools/load/error.hpp"
#include "tools/load/metrics_text.hpp"

namespace epulse::load {
namespace {

constexpr int kSetUpStatus = 2;
constexpr std::uint64_t kLookAroundNs = kSecondNs / 50;

void run_thread(LoadThread& load) {
  try {
    load.run();
  } catch (const std::exception& error) {
    // Without its share of the load the figures would mean nothing.
    fmt::print(stderr, "epulse-load: {}\n", error.what());
    std::_Exit(kSetUpStatus);
  }
}

}  // namespace

Run::Run(const Options& options, const Target& target, SSL_CTX* tls, Surroundings& surroundings)
    : options_(options),
      target_(target),
      tls_(tls),
      surroundings_(surroundings),
      counters_(options.all_threads()) {
  if (options.broadcast) broadcast_.emplace(options);
  if (options.processes == 1) make_loads(0);
}

// After an error the threads still run.
Run::~Run() {
  course_[0].stop.store(true);
  course_[0].reported.store(true);
  join_threads();
}

// Those of one process: their descriptors are its own.
void Run::make_loads(std::uint32_t first) {
  Broadcast* broadcast = broadcast_ ? &*broadcast_ : nullptr;
  for (std::uint32_t k = first; k < first + options_.threads; ++k) {
    loads_.push_back(std::make_unique<LoadThread>(k, options_, target_, tls_, course_[0],
                                                  counters_[k], broadcast));
  }
}

void Run::run_loads() {
  for (const auto& load : loads_) threads_.emplace_back(run_thread, std::ref(*load));
}

void Run::join_threads() {
  for (std::thread& thread : threads_) thread.join();
  threads_.clear();
}

void Run::start() {
  if (options_.processes == 1) return run_loads();
  for (std::uint32_t p = 0; p < options_.processes; ++p) {
    processes_.start([this, p] {
      make_loads(p * options_.threads);
      run_loads();
      join_threads();
      course_[0].peak_bytes.fetch_add(peak_memory_bytes());
    });
  }
}

std::optional<Result> Run::execute() {
  Course& course = course_[0];
  start();
  while (course.opened.load() < options_.all_threads()) wait(kLookAroundNs);
  if (totals().opened == 0 && !course.stop.load()) {
    course.stop.store(true);
    join();
    fmt::print(stderr, "epulse-load: {}\n", course.first_failure.text());
    return std::nullopt;
  }
  times_at_start_ = thread_times();
  const std::int64_t offset_ns = realtime_offset_ns();
  start_ns_ = clock_ns();
  course.start_ns.store(start_ns_);
  surroundings_.outputs.begin();
  watch();
  join();
  surroundings_.outputs.remainder(take_interval(clock_ns()));
  const std::uint64_t peak_bytes = peak_memory_bytes() + course.peak_bytes.load();
  Result result{totals(), 0, start_ns_, uses_, peak_bytes, offset_ns};
  result.totals.received_in_time = received_in_time_;
  result.elapsed_s = static_cast<double>(stop_ns_ - start_ns_) / 1e9;
  return result;
}

// Sleeps, but for a signal and those who want metrics.
void Run::wait(std::uint64_t ns) {
  std::vector<pollfd> waiting = {{surroundings_.stop_fd, POLLIN, 0}};
  MetricsEndpoint* metrics = surroundings_.metrics;
  if (metrics != nullptr) metrics->add_to(waiting);
  const timespec timeout = {static_cast<time_t>(ns / kSecondNs), static_cast<long>(ns % kSecondNs)};
  ppoll(waiting.data(), waiting.size(), &timeout, nullptr);
  processes_.check();
  signalfd_siginfo signal{};
  if (read(surroundings_.stop_fd, &signal, sizeof signal) > 0) course_[0].stop.store(true);
  if (metrics != nullptr) {
    metrics->serve([this] { return metrics_text(totals(), thread_times()); }, clock_ns());
  }
}

void Run::join() {
  course_[0].reported.store(true);
  join_threads();
  processes_.join();
}

void Run::watch() {
  Course& course = course_[0];
  const auto step = static_cast<std::uint64_t>(options_.interval_s() * 1e9);
  const std::uint64_t end = start_ns_ + static_cast<std::uint64_t>(options_.duration_s * 1e9);
  std::uint64_t next = start_ns_ + step;
  interval_start_ns_ = start_ns_;
  std::uint64_t now = clock_ns();
  while (now < end && !course.stop.load() && course.finished.load() < options_.all_threads()) {
    std::uint64_t until = std::min(end, now + kLookAroundNs);
    if (step != 0) until = std::min(until, next);
    wait(until > now ? until - now : 0);
    now = clock_ns();
    if (step != 0 && now >= next) {
      surroundings_.outputs.interval(take_interval(now));
      next += step;
    }
  }
  stop_ns_ = std::min(now, end);
  received_in_time_ = totals().received;
  uses_ = thread_uses();
  // The last, cut short by the end, unless there is next to nothing in it.
  if (step != 0 && stop_ns_ > interval_start_ns_ + step / 10) {
    surroundings_.outputs.interval(take_interval(stop_ns_));
  }
}

Totals Run::totals() const {
  Totals sum;
  for (const Counters& counters : counters_) sum.add(counters);
  return sum;
}

// What came since the last one was taken.
Interval Run::take_interval(std::uint64_t now) {
  Totals sum = totals();
  std::uint64_t max_ns = 0;
  for (Counters& counters : counters_) {
    max_ns = std::max(max_ns, counters.latency.take_interval_max());
  }
  Interval interval{static_cast<double>(now - start_ns_) / 1e9,
                    static_cast<double>(now - interval_start_ns_) / 1e9,
                    sum.received - last_.received,
                    sum.connected,
                    {},
                    sum.latency.since(last_.latency, max_ns)};
  for (std::size_t kind = 0; kind < interval.errors.size(); ++kind) {
    // What was taken for lost may turn out to be late: no interval has less than nothing of it.
    const std::uint64_t before = last_.errors[kind];
    interval.errors[kind] = sum.errors[kind] > before ? sum.errors[kind] - before : 0;
  }
  last_ = std::move(sum);
  interval_start_ns_ = now;
  return interval;
}

// By thread; empty unless the kernel tells it of all.
std::vector<SchedulerTimes> Run::thread_times() const {
  std::vector<SchedulerTimes> times;
  for (const Counters& counters : counters_) {
    const std::optional<SchedulerTimes> time = scheduler_times(counters.thread.load());
    if (!time) return {};
    times.push_back(*time);
  }
  return times;
}

std::vector<ThreadUse> Run::thread_uses() const {
  const std::vector<SchedulerTimes> now = thread_times();
  const auto elapsed_ns = static_cast<double>(clock_ns() - start_ns_);
  std::vector<ThreadUse> uses;
  if (times_at_start_.size() != now.size()) return uses;
  for (std::size_t k = 0; k < now.size(); ++k) {
    const SchedulerTimes& before = times_at_start_[k];
    uses.push_back({static_cast<double>(now[k].running_ns - before.running_ns) / elapsed_ns,
                    static_cast<double>(now[k].waiting_ns - before.waiting_ns) / elapsed_ns});
  }
  return uses;
}

std::vector<Recording*> Run::recordings() {
  std::vector<Recording*> all;
  for (const auto& load : loads_) {
    if (load->recording() != nullptr) all.push_back(load->recording());
  }
  return all;
}

}  // namespace epulse::load
