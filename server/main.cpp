#include <fmt/format.h>
#include <signal.h>
#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <cstdio>
#include <exception>
#include <memory>
#include <string>

#include "server/allocations.hpp"
#include "server/echo_handler.hpp"
#include "server/engine/engines.hpp"
#include "server/error.hpp"
#include "server/options.hpp"
#include "server/server.hpp"

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

// The line that scripts read: where we listen, and which thread runs where.
std::string start_line(const Server& server, bool tls) {
  std::string threads;
  for (const Server::Thread& thread : server.threads()) {
    threads += fmt::format("{}tid {}", threads.empty() ? "" : ", ", thread.tid);
    if (thread.cpu >= 0) threads += fmt::format(" on CPU {}", thread.cpu);
  }
  const std::size_t count = server.threads().size();
  return fmt::format("epulse-ws: listening on {}, {} worker{} ({}), {}{}, pid {}\n",
                     server.address().text(), count, count == 1 ? "" : "s", threads,
                     engine_name(server.engine()), tls ? ", tls" : "", getpid());
}

void reload(Server& server, const tls::Options& tls) {
  try {
    server.reload_certificate();
    spdlog::info("reloaded the certificate '{}'", tls.certificate_file);
  } catch (const Error& error) {
    spdlog::error("{}; going on with the certificate loaded before", error.what());
  }
}

// Returns when it is time to stop.
void wait_for_stop(const sigset_t& signals, Server& server, const ServerOptions& options) {
  int received = SIGHUP;
  while (received == SIGHUP) {
    sigwait(&signals, &received);
    if (received == SIGHUP) reload(server, *options.tls);
  }
}

void serve(const Options& options) {
  const sigset_t signals = block_signals(options.server.tls.has_value());
  ServerOptions server_options = options.server;
  server_options.session.allocations = allocations_of_this_thread;
  if (!options.token_key_file.empty()) {
    server_options.session.gate.token_key = read_token_key(options.token_key_file);
  }
  Server server(server_options, [&options](std::size_t) {
    return std::make_unique<EchoHandler>(options.handler_delay_ns);
  });
  fmt::print("{}", start_line(server, options.server.tls.has_value()));
  std::fflush(stdout);
  wait_for_stop(signals, server, options.server);
  server.drain();
  server.join();
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
