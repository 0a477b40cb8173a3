#include "tools/load/run.hpp"

#include <fmt/format.h>
#include <poll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <exception>
#include <functional>
#include <span>
#include <utility>

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
      counters_(options.all_threads() * options.steps()) {
  if (options.memory_of != 0) server_.emplace(options.memory_of);
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
    const std::span<Counters> counters(&counters_[k * options_.steps()], options_.steps());
    loads_.push_back(
        std::make_unique<LoadThread>(k, options_, target_, tls_, course_[0], counters, broadcast));
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
  if (server_) memory_ = MemoryCost{server_->pid(), server_->measure(), server_->bytes()};
  start();
  while (course.opened.load() < options_.all_threads()) wait(kLookAroundNs);
  if (totals().opened == 0 && !course.stop.load()) {
    course.stop.store(true);
    join();
    fmt::print(stderr, "epulse-load: {}\n", course.first_failure.text());
    return std::nullopt;
  }
  if (memory_) {
    memory_->open_bytes = server_->bytes();
    memory_->connections = totals().connected;
  }
  const std::int64_t offset_ns = realtime_offset_ns();
  start_ns_ = clock_ns();
  mark(start_ns_);
  course.start_ns.store(start_ns_);
  surroundings_.outputs.begin();
  watch();
  const std::uint64_t connected = totals().connected;
  join();
  surroundings_.outputs.remainder(take_interval(clock_ns()));
  Result result = between(marks_.front(), marks_.back(), totals());
  result.asked = asked_percentiles();
  result.peak_bytes = peak_memory_bytes() + course.peak_bytes.load();
  result.realtime_offset_ns = offset_ns;
  result.rate_due = options_.mean_rate();
  result.steps = step_results();
  result.memory = memory_;
  result.connected_at_end = connected;
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
  const auto interval = static_cast<std::uint64_t>(options_.interval_s() * 1e9);
  const std::uint64_t end = start_ns_ + options_.length_ns();
  std::uint64_t next_interval = start_ns_ + interval;
  std::uint64_t next_step = start_ns_ + options_.step_ns();
  interval_start_ns_ = start_ns_;
  std::uint64_t now = clock_ns();
  while (now < end && !course.stop.load() && course.finished.load() < options_.all_threads()) {
    std::uint64_t until = std::min({end, next_step, now + kLookAroundNs});
    if (interval != 0) until = std::min(until, next_interval);
    wait(until > now ? until - now : 0);
    now = clock_ns();
    for (; now >= next_step && next_step < end; next_step += options_.step_ns()) mark(now);
    if (interval != 0 && now >= next_interval) {
      surroundings_.outputs.interval(take_interval(now));
      next_interval += interval;
    }
  }
  const std::uint64_t stop = std::min(now, end);
  mark(stop);
  // The last, cut short by the end, unless there is next to nothing in it.
  if (interval != 0 && stop > interval_start_ns_ + interval / 10) {
    surroundings_.outputs.interval(take_interval(stop));
  }
}

// How far it is; `ns`: when, for all that is said of it.
void Run::mark(std::uint64_t ns) {
  marks_.push_back({ns, clock_ns(), received(), thread_times()});
}

std::uint64_t Run::received() const {
  std::uint64_t sum = 0;
  for (const Counters& counters : counters_) sum += counters.received.load();
  return sum;
}

Totals Run::totals() const {
  Totals sum;
  for (const Counters& counters : counters_) sum.add(counters);
  return sum;
}

Totals Run::totals(std::size_t step) const {
  Totals sum;
  for (std::size_t k = step; k < counters_.size(); k += options_.steps()) sum.add(counters_[k]);
  return sum;
}

std::vector<Result> Run::step_results() const {
  std::vector<Result> results;
  if (options_.steps() == 1) return results;
  const std::size_t last = marks_.size() - 1;
  for (std::size_t step = 0; step < options_.steps(); ++step) {
    const Mark& begin = marks_[std::min(step, last)];
    const Mark& end = marks_[std::min(step + 1, last)];
    Result result = between(begin, end, totals(step));
    result.asked = asked_percentiles();
    result.rate_due = options_.rates[step];
    // One that never began may have messages that nobody was there to send.
    if (step < last || result.totals.error_total() != 0) results.push_back(std::move(result));
  }
  return results;
}

std::vector<double> Run::asked_percentiles() const {
  std::vector<double> shares;
  for (const Expectation& expectation : options_.expectations) {
    if (const std::optional<double> share = expectation.percentile()) shares.push_back(*share);
  }
  return shares;
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
  for (std::size_t k = 0; k < counters_.size(); k += options_.steps()) {
    const std::optional<SchedulerTimes> time = scheduler_times(counters_[k].thread.load());
    if (!time) return {};
    times.push_back(*time);
  }
  return times;
}

std::vector<Recording*> Run::recordings() {
  std::vector<Recording*> all;
  for (const auto& load : loads_) {
    if (load->recording() != nullptr) all.push_back(load->recording());
  }
  return all;
}

}  // namespace epulse::load
