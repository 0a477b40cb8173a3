#include <fmt/format.h>
#include <signal.h>
#include <sys/resource.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <thread>
#include <vector>

#include "tools/load/broadcast.hpp"
#include "tools/load/clock.hpp"
#include "tools/load/error.hpp"
#include "tools/load/load_thread.hpp"
#include "tools/load/options.hpp"
#include "tools/load/report.hpp"
#include "tools/load/target.hpp"
#include "tools/load/tls.hpp"

namespace epulse::load {
namespace {

constexpr int kErrorStatus = 1;
constexpr int kSetUpStatus = 2;
constexpr std::uint64_t kLookAroundNs = kSecondNs / 50;
constexpr rlim_t kReservedFiles = 64;  // ours, besides those of connections

sigset_t block_stop_signals() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  return signals;
}

void raise_file_limit(const Options& options) {
  rlimit limit{};
  getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
  getrlimit(RLIMIT_NOFILE, &limit);
  if (limit.rlim_cur < options.connections + kReservedFiles) {
    fail("cannot open {} connections: the limit of open files is {}; raise it with ulimit -n",
         options.connections, limit.rlim_cur);
  }
}

void run_thread(LoadThread& load) {
  try {
    load.run();
  } catch (const std::exception& error) {
    // Without its share of the load the figures would mean nothing.
    fmt::print(stderr, "epulse-load: {}\n", error.what());
    std::_Exit(kSetUpStatus);
  }
}

// One run: the threads, and main, which watches and reports.
class Run {
 public:
  Run(const Options& options, const Target& target, SSL_CTX* tls, const sigset_t& signals)
      : options_(options), signals_(signals) {
    if (options.broadcast) broadcast_.emplace(options);
    Broadcast* broadcast = broadcast_ ? &*broadcast_ : nullptr;
    for (std::uint32_t k = 0; k < options.threads; ++k) {
      loads_.push_back(std::make_unique<LoadThread>(k, options, target, tls, course_, broadcast));
    }
  }

  int execute() {
    for (const auto& load : loads_) {
      threads_.emplace_back(run_thread, std::ref(*load));
    }
    while (course_.opened.load() < loads_.size()) wait(kLookAroundNs);
    if (totals().opened == 0 && !course_.stop.load()) return give_up();
    start_ns_ = clock_ns();
    course_.start_ns.store(start_ns_);
    watch();
    course_.reported.store(true);
    for (std::thread& thread : threads_) thread.join();
    return summarize();
  }

 private:
  // Sleeps, or takes note of a signal.
  void wait(std::uint64_t ns) {
    const timespec timeout = {static_cast<time_t>(ns / kSecondNs),
                              static_cast<long>(ns % kSecondNs)};
    if (sigtimedwait(&signals_, nullptr, &timeout) > 0) course_.stop.store(true);
  }

  int give_up() {
    course_.stop.store(true);
    course_.reported.store(true);
    for (std::thread& thread : threads_) thread.join();
    for (const auto& load : loads_) {
      if (!load->first_failure().empty()) {
        fmt::print(stderr, "epulse-load: {}\n", load->first_failure());
        break;
      }
    }
    return kSetUpStatus;
  }

  void watch() {
    const auto step = static_cast<std::uint64_t>(options_.progress_s * 1e9);
    const std::uint64_t end = start_ns_ + static_cast<std::uint64_t>(options_.duration_s * 1e9);
    std::uint64_t next = start_ns_ + step;
    interval_start_ns_ = start_ns_;
    std::uint64_t now = clock_ns();
    while (now < end && !course_.stop.load() && course_.finished.load() < loads_.size()) {
      std::uint64_t until = std::min(end, now + kLookAroundNs);
      if (step != 0) until = std::min(until, next);
      wait(until > now ? until - now : 0);
      now = clock_ns();
      if (step != 0 && now >= next) {
        report_interval(now);
        next += step;
      }
    }
    stop_ns_ = std::min(now, end);
    received_in_time_ = totals().received;
    // The last, cut short by the end, unless there is next to nothing in it.
    if (step != 0 && stop_ns_ > interval_start_ns_ + step / 10) report_interval(stop_ns_);
  }

  Totals totals() const {
    Totals sum;
    for (const auto& load : loads_) sum.add(load->counters());
    return sum;
  }

  void report_interval(std::uint64_t now) {
    const Totals sum = totals();
    std::uint64_t max_ns = 0;
    for (const auto& load : loads_) {
      max_ns = std::max(max_ns, load->counters().latency.take_interval_max());
    }
    const Interval interval{static_cast<double>(now - start_ns_) / 1e9,
                            static_cast<double>(now - interval_start_ns_) / 1e9,
                            sum.received - last_.received,
                            sum.connected,
                            sum.error_total() - last_.error_total(),
                            sum.latency.since(last_.latency, max_ns)};
    fmt::print("{}", options_.json ? interval_json(interval) : interval_text(interval));
    std::fflush(stdout);
    last_ = sum;
    interval_start_ns_ = now;
  }

  int summarize() {
    Totals sum = totals();
    sum.received_in_time = received_in_time_;
    const double elapsed_s = static_cast<double>(stop_ns_ - start_ns_) / 1e9;
    fmt::print("{}", options_.json ? summary_json(options_, sum, elapsed_s)
                                   : summary_text(options_, sum, elapsed_s));
    std::fflush(stdout);
    return sum.error_total() == 0 ? 0 : kErrorStatus;
  }

  const Options& options_;
  sigset_t signals_;
  Course course_;
  std::optional<Broadcast> broadcast_;
  std::vector<std::unique_ptr<LoadThread>> loads_;
  std::vector<std::thread> threads_;
  Totals last_;
  std::uint64_t received_in_time_ = 0;
  std::uint64_t start_ns_ = 0;
  std::uint64_t stop_ns_ = 0;
  std::uint64_t interval_start_ns_ = 0;
};

int load(const Options& options) {
  Target target = parse_url(options.url);
  if (options.broadcast && target.raw) {
    fail("cannot broadcast over '{}': a server of tcp:// only echoes; use ws:// or wss://",
         options.url);
  }
  resolve(target);
  raise_file_limit(options);
  const TlsContext tls = make_tls_context(options, target);
  return Run(options, target, tls.get(), block_stop_signals()).execute();
}

}  // namespace
}  // namespace epulse::load

int main(int argc, char** argv) {
  using namespace epulse::load;
  const ParsedOptions parsed = parse_options(argc, argv);
  if (!parsed.options) return parsed.exit_status;
  try {
    return load(*parsed.options);
  } catch (const std::exception& error) {
    fmt::print(stderr, "epulse-load: {}\n", error.what());
    return kSetUpStatus;
  }
}
