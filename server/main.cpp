#include <fmt/format.h>
#include <signal.h>
#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <cstdio>
#include <exception>
#include <memory>
#include <string>
#include <vector>

#include "server/engine/listener.hpp"
#include "server/error.hpp"
#include "server/options.hpp"
#include "server/session/cpus.hpp"
#include "server/session/worker.hpp"
#include "server/tls/context.hpp"

namespace epulse::server {
namespace {

constexpr int kSetUpStatus = 2;

// Blocked in every thread, so that sigwait() here is what takes them. Without TLS, SIGHUP ends the
// program as it always does.
sigset_t block_signals(bool with_hangup) {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGTERM);
  if (with_hangup) sigaddset(&signals, SIGHUP);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  signal(SIGPIPE, SIG_IGN);
  return signals;
}

struct Running {
  Address address;
  FileDescriptor claim;
  std::vector<std::unique_ptr<Worker>> workers;
};

void stop(SharedState& shared) {
  shared.draining.store(true);
  for (std::size_t k = 0; k < shared.hub.workers(); ++k) shared.hub.waker(k).wake();
}

// The line that scripts read: where we listen, and which thread runs where.
std::string start_line(Running& running, const std::vector<int>& worker_cpus, EngineKind engine,
                       bool tls) {
  std::string threads;
  for (std::size_t k = 0; k < running.workers.size(); ++k) {
    const pid_t tid = running.workers[k]->wait_started();
    threads += fmt::format("{}tid {}", k == 0 ? "" : ", ", tid);
    if (worker_cpus[k] >= 0) threads += fmt::format(" on CPU {}", worker_cpus[k]);
  }
  return fmt::format("epulse-ws: listening on {}, {} worker{} ({}), {}{}, pid {}\n",
                     running.address.text(), running.workers.size(),
                     running.workers.size() == 1 ? "" : "s", threads, engine_name(engine),
                     tls ? ", tls" : "", getpid());
}

// epoll where the other cannot be had.
EngineOptions choose_engine(const EngineOptions& wanted) {
  EngineOptions chosen = wanted;
  const std::string reason = why_unavailable(wanted);
  if (!reason.empty()) {
    spdlog::warn("{}; using epoll", reason);
    chosen.kind = EngineKind::kEpoll;
  }
  return chosen;
}

void reload(tls::Context& tls) {
  try {
    tls.reload();
    spdlog::info("reloaded the certificate '{}'", tls.options().certificate_file);
  } catch (const Error& error) {
    spdlog::error("{}; going on with the certificate loaded before", error.what());
  }
}

// Returns when it is time to stop.
void wait_for_stop(const sigset_t& signals, tls::Context* tls) {
  int received = SIGHUP;
  while (received == SIGHUP) {
    sigwait(&signals, &received);
    if (received == SIGHUP) reload(*tls);
  }
}

void serve(const Options& options) {
  const sigset_t signals = block_signals(options.tls.has_value());
  const auto tls = options.tls ? std::make_unique<tls::Context>(*options.tls) : nullptr;
  const std::vector<int> cpus = allowed_cpus();
  const std::size_t count = options.workers == 0 ? cpus.size() : options.workers;
  const std::size_t file_limit = raise_file_limit();
  const EngineOptions engine = choose_engine(options.engine);
  SessionOptions session = options.session;
  if (session.max_connections == 0) {
    session.max_connections = connections_that_fit(file_limit, engine.kind, count);
  }
  if (!options.token_key_file.empty())
    session.gate.token_key = read_token_key(options.token_key_file);
  Listeners listeners = open_listeners(parse_address(options.listen), count);
  SharedState shared(session, count);
  Running running{listeners.address, std::move(listeners.claim), {}};
  std::vector<int> worker_cpus;
  try {
    for (std::size_t k = 0; k < count; ++k) {
      worker_cpus.push_back(options.pin ? cpus[k % cpus.size()] : -1);
      running.workers.push_back(
          std::make_unique<Worker>(WorkerOptions{k, worker_cpus.back(), engine, tls.get()}, shared,
                                   std::move(listeners.sockets[k])));
    }
    fmt::print("{}", start_line(running, worker_cpus, engine.kind, tls != nullptr));
    std::fflush(stdout);
  } catch (...) {
    stop(shared);  // The destructors wait for those that did start.
    throw;
  }
  wait_for_stop(signals, tls.get());
  stop(shared);
  for (const auto& worker : running.workers) worker->join();
}

}  // namespace
}  // namespace epulse::server

int main(int argc, char** argv) {
  using namespace epulse::server;
  const ParsedOptions parsed = parse_options(argc, argv);
  if (!parsed.options) return parsed.exit_status;
  spdlog::set_default_logger(spdlog::stderr_color_mt("epulse-ws"));
  spdlog::set_pattern("%n: %v");
  try {
    serve(*parsed.options);
    return 0;
  } catch (const std::exception& error) {
    fmt::print(stderr, "epulse-ws: {}\n", error.what());
    return kSetUpStatus;
  }
}
