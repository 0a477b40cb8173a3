#include <fmt/format.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <exception>
#include <optional>

#include "server/tls/record_buffers.hpp"
#include "tools/load/engine_choice.hpp"
#include "tools/load/error.hpp"
#include "tools/load/hints.hpp"
#include "tools/load/metrics_endpoint.hpp"
#include "tools/load/options.hpp"
#include "tools/load/outputs.hpp"
#include "tools/load/ramp.hpp"
#include "tools/load/run.hpp"
#include "tools/load/step_report.hpp"
#include "tools/load/target.hpp"
#include "tools/load/tls.hpp"

namespace epulse::load {
namespace {

constexpr int kNotMetStatus = 1;
constexpr int kSetUpStatus = 2;
constexpr rlim_t kReservedFiles = 64;  // ours, besides those of connections
constexpr rlim_t kFilesOfAThread = 2;  // its engine's

// Readable when the user wants an end.
class StopSignals {
 public:
  StopSignals() {
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &signals, nullptr);
    fd_ = signalfd(-1, &signals, SFD_NONBLOCK | SFD_CLOEXEC);
    if (fd_ < 0) fail("cannot wait for signals: {}; raise ulimit -n", errno_text(errno));
  }
  StopSignals(const StopSignals&) = delete;
  StopSignals& operator=(const StopSignals&) = delete;
  ~StopSignals() { close(fd_); }

  int fd() const { return fd_; }

 private:
  int fd_ = -1;
};

void raise_file_limit(const Options& options) {
  rlimit limit{};
  getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
  getrlimit(RLIMIT_NOFILE, &limit);
  const rlim_t most = (options.connections + options.processes - 1) / options.processes;
  if (limit.rlim_cur < most + options.threads * kFilesOfAThread + kReservedFiles) {
    fail(
        "cannot open {} connections in {}: the limit of open files is {} for each; use more "
        "--processes, or raise ulimit -n",
        options.connections,
        options.processes == 1 ? "one process" : fmt::format("{} processes", options.processes),
        limit.rlim_cur);
  }
}

// Says what was expected and is not so. Errors nobody said anything about are not expected.
int judge(const Options& options, const Result& result) {
  bool good = true;
  if (result.ramp && !result.ramp->held) {
    good = false;
    fmt::print(stderr, "epulse-load: not met: {}\n", ramp_text(options, *result.ramp));
  }
  if (result.ramp && result.ramp->lost) good = false;  // why has been said
  bool errors_named = false;
  for (const Expectation& expectation : options.expectations) {
    errors_named = errors_named || expectation.name == "errors";
    if (expectation.met(result)) continue;
    good = false;
    fmt::print(stderr, "epulse-load: not met: {}: it was {}\n", expectation.text,
               expectation.measured_text(result));
  }
  if (!errors_named && result.totals.error_total() != 0) good = false;
  return good ? 0 : kNotMetStatus;
}

int load(const Options& options) {
  Target target = parse_url(options.url);
  if (options.broadcast && target.raw) {
    fail("cannot broadcast over '{}': a server of tcp:// only echoes; use ws:// or wss://",
         options.url);
  }
  resolve(target);
  resolve_sources(target, options.sources);
  raise_file_limit(options);
  check_engine(options);
  const TlsContext tls = make_tls_context(options, target);
  const StopSignals signals;
  std::optional<MetricsEndpoint> metrics;
  if (!options.metrics_address.empty()) metrics.emplace(options.metrics_address);
  Outputs outputs(options);
  Surroundings surroundings{signals.fd(), outputs, metrics ? &*metrics : nullptr};

  if (options.ramp) {
    const std::optional<Result> result = ramp(options, target, tls.get(), surroundings);
    if (result) outputs.finish(*result, {});
    return result ? judge(options, *result) : kSetUpStatus;
  }
  Run run(options, target, tls.get(), surroundings);
  const std::optional<Result> result = run.execute();
  if (!result) return kSetUpStatus;
  outputs.finish(*result, run.recordings());
  for (const std::string& hint : hints(options, *result)) {
    fmt::print(stderr, "epulse-load: hint: {}\n", hint);
  }
  return judge(options, *result);
}

}  // namespace
}  // namespace epulse::load

int main(int argc, char** argv) {
  using namespace epulse::load;
  try {
    const ParsedOptions parsed = parse_options(argc, argv);
    epulse::tls::keep_record_buffers();
    return parsed.options ? load(*parsed.options) : parsed.exit_status;
  } catch (const std::exception& error) {
    fmt::print(stderr, "epulse-load: {}\n", error.what());
    return kSetUpStatus;
  }
}
