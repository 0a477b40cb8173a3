#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "server/tls/openssl.hpp"
#include "tools/load/broadcast.hpp"
#include "tools/load/course.hpp"
#include "tools/load/load_thread.hpp"
#include "tools/load/mark.hpp"
#include "tools/load/metrics_endpoint.hpp"
#include "tools/load/options.hpp"
#include "tools/load/outputs.hpp"
#include "tools/load/processes.hpp"
#include "tools/load/result.hpp"
#include "tools/load/shared_array.hpp"
#include "tools/load/target.hpp"

namespace epulse::load {

// What goes on besides a load.
struct Surroundings {
  int stop_fd;  // readable when the user wants it to end (signalfd)
  Outputs& outputs;
  MetricsEndpoint* metrics;  // none unless asked for
};

// One run: the threads that make the load, here or in processes of their own, and the caller's,
// which watches.
class Run {
 public:
  Run(const Options& options, const Target& target, SSL_CTX* tls, Surroundings& surroundings);
  Run(const Run&) = delete;
  Run& operator=(const Run&) = delete;
  ~Run();

  // Blocks until the end. Nothing when no connection could be opened; then stderr says why. Throws
  // Error when one of the processes ends early, or what came of it cannot be written.
  std::optional<Result> execute();
  std::vector<Recording*> recordings();
  // Whether the user has ended it.
  bool stopped() const { return course_[0].stop.load(); }

 private:
  void start();
  void make_loads(std::uint32_t first);
  void run_loads();
  void join_threads();
  void wait(std::uint64_t ns);
  void join();
  void watch();
  void mark(std::uint64_t ns);
  std::uint64_t received() const;
  Totals totals() const;
  Totals totals(std::size_t step) const;
  std::vector<Result> step_results() const;
  std::vector<double> asked_percentiles() const;
  Interval take_interval(std::uint64_t now);
  std::vector<SchedulerTimes> thread_times() const;

  const Options& options_;
  const Target& target_;
  SSL_CTX* tls_;
  Surroundings& surroundings_;
  SharedArray<Course> course_{1};
  SharedArray<Counters> counters_;  // of each thread, by step
  std::optional<Broadcast> broadcast_;
  std::vector<std::unique_ptr<LoadThread>> loads_;  // of this process
  std::vector<std::thread> threads_;
  Processes processes_;                  // instead, if there are to be several
  std::optional<ProcessMemory> server_;  // whose memory is asked for
  std::optional<MemoryCost> memory_;
  std::vector<Mark> marks_;  // at the start, between steps, at the end
  Totals last_;
  std::uint64_t start_ns_ = 0;
  std::uint64_t interval_start_ns_ = 0;
};

}  // namespace epulse::load
