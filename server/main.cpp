#include <fmt/format.h>
#include <signal.h>
#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <thread>

#include "common/counted.hpp"
#include "server/access_log.hpp"
#include "server/allocations.hpp"
#include "server/control/control_socket.hpp"
#include "server/echo_handler.hpp"
#include "server/engine/engines.hpp"
#include "server/error.hpp"
#include "server/freed_memory.hpp"
#include "server/handover.hpp"
#include "server/options.hpp"
#include "server/server.hpp"
#include "server/steering/accept_steering.hpp"
#include "server/tls/record_buffers.hpp"

namespace epulse::server {
namespace {

constexpr int kSetUpStatus = 2;
constexpr std::chrono::seconds kSuccessorPatience{30};
constexpr std::chrono::milliseconds kPollInterval{20};

// Blocked in every thread, so that sigwait() here is what takes them. SIGHUP ends the
// program, as it always does, when there is nothing to reload.
sigset_t block_signals(bool with_hangup) {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGUSR2);
  if (with_hangup) sigaddset(&signals, SIGHUP);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  signal(SIGPIPE, SIG_IGN);
  return signals;
}

// Whether sigwait() would say so.
bool is_asked_to_stop() {
  sigset_t pending;
  sigpending(&pending);
  return sigismember(&pending, SIGTERM) == 1 || sigismember(&pending, SIGINT) == 1;
}

// The line that scripts read: where we listen, and which thread runs where.
std::string start_line(const Server& server, bool tls) {
  std::string threads;
  for (const Server::Thread& thread : server.threads()) {
    threads += fmt::format("{}tid {}", threads.empty() ? "" : ", ", thread.tid);
    if (thread.cpu >= 0) threads += fmt::format(" on CPU {}", thread.cpu);
  }
  const std::size_t count = server.threads().size();
  return fmt::format("epulse-ws: listening on {}, {} ({}), {}{}, pid {}\n", server.address().text(),
                     counted(count, "worker"), threads, engine_name(server.engine()),
                     tls ? ", tls" : "", getpid());
}

// What SIGHUP asks for.
void reload(Server& server, const Options& options, AccessLog* access_log) {
  if (options.server.tls) {
    try {
      server.reload_certificate();
      spdlog::info("reloaded the certificate '{}'", options.server.tls->certificate_file);
    } catch (const Error& error) {
      spdlog::error("{}; going on with the certificate loaded before", error.what());
    }
  }
  if (access_log != nullptr) {
    try {
      access_log->reopen();
    } catch (const Error& error) {
      spdlog::error("{}; going on in the file opened before", error.what());
    }
  }
}

// How the program was started, to start it again.
struct Invocation {
  std::string program;  // as it lies on the disk, perhaps newer than what runs
  char** arguments;
};

// Whether the new process serves; if not, because we are to stop. Throws Error.
bool hand_over(const Invocation& invocation, const Server& server) {
  Successor successor(invocation.program, invocation.arguments, server.listeners());
  const auto deadline = std::chrono::steady_clock::now() + kSuccessorPatience;
  while (successor.wait(kPollInterval) == Successor::State::kStarting) {
    if (is_asked_to_stop()) return false;
    if (std::chrono::steady_clock::now() > deadline) {
      fail("process {} does not serve after {} s", successor.pid(), kSuccessorPatience.count());
    }
  }
  if (successor.wait({}) == Successor::State::kFailed) {
    fail("process {} has ended without serving; its messages say why", successor.pid());
  }
  spdlog::info("process {} has taken over", successor.pid());
  return true;
}

// Those who are there, or on their way, are served for a while by the old process.
void linger(Server& server, std::chrono::milliseconds time) {
  server.stop_accepting();
  const auto end = std::chrono::steady_clock::now() + time;
  while (std::chrono::steady_clock::now() < end && !is_asked_to_stop()) {
    std::this_thread::sleep_for(kPollInterval);
  }
}

// Lets the successor have the sockets for its own steering; takes them back unless it serves.
class SteeringPause {
 public:
  explicit SteeringPause(AcceptSteering* steering) : steering_(steering) {
    if (steering_ != nullptr) steering_->detach();
  }
  SteeringPause(const SteeringPause&) = delete;
  SteeringPause& operator=(const SteeringPause&) = delete;
  ~SteeringPause() {
    if (steering_ == nullptr) return;
    try {
      steering_->attach();
    } catch (const Error& error) {
      spdlog::warn("{}; the kernel's hash spreads connections", error.what());
    }
  }
  void keep() { steering_ = nullptr; }

 private:
  AcceptSteering* steering_;
};

// Whether it was done; if not, all goes on as before.
bool restart(const Invocation& invocation, Server& server, AcceptSteering* steering,
             std::chrono::milliseconds linger_time) {
  try {
    SteeringPause pause(steering);
    if (!hand_over(invocation, server)) return false;
    pause.keep();
  } catch (const Error& error) {
    spdlog::error("cannot hand over: {}; going on as before", error.what());
    return false;
  }
  linger(server, linger_time);
  return true;
}

// Returns when it is time to stop.
void wait_for_stop(const sigset_t& signals, Server& server, const Options& options,
                   const Invocation& invocation, AccessLog* access_log, AcceptSteering* steering) {
  while (true) {
    int received = 0;
    sigwait(&signals, &received);
    if (received == SIGTERM || received == SIGINT) return;
    if (received == SIGHUP) reload(server, options, access_log);
    if (received == SIGUSR2 && restart(invocation, server, steering, options.linger)) return;
  }
}

// Nothing where it cannot be had, or there is nobody to choose from.
void steer(Server& server, std::optional<AcceptSteering>& steering) {
  const std::vector<int> listeners = server.listeners().sockets;
  if (listeners.size() < 2) return;
  try {
    server.set_accept_loads(steering.emplace(listeners).loads());
  } catch (const Error& error) {
    spdlog::warn("{}; the kernel's hash spreads connections", error.what());
  }
}

void serve(const Options& options, const Invocation& invocation) {
  const sigset_t signals =
      block_signals(options.server.tls.has_value() || !options.access_log.empty());
  ServerOptions server_options = options.server;
  server_options.session.allocations = allocations_of_this_thread;
  server_options.inherited = inherited_listeners();
  if (!options.token_key_file.empty()) {
    server_options.session.gate.token_key = read_token_key(options.token_key_file);
  }
  std::optional<AccessLog> access_log;
  if (!options.access_log.empty()) {
    AccessLog& log = access_log.emplace(options.access_log);
    server_options.session.on_access = [&log](const AccessRecord& record) { log.write(record); };
  }
  std::optional<AcceptSteering> steering;  // the server's workers write to it to their end
  Server server(server_options,
                [&options](std::size_t) { return std::make_unique<EchoHandler>(options.echo); });
  if (options.accept_steering) steer(server, steering);
  std::optional<ControlSocket> control;
  if (!options.control_socket.empty()) {
    control.emplace(options.control_socket, server.tunables(),
                    server_options.inherited.has_value());
  }
  fmt::print("{}", start_line(server, options.server.tls.has_value()));
  std::fflush(stdout);
  report_ready();
  wait_for_stop(signals, server, options, invocation, access_log ? &*access_log : nullptr,
                steering ? &*steering : nullptr);
  server.drain();
  server.join();
}

}  // namespace
}  // namespace epulse::server

int main(int argc, char** argv) {
  using namespace epulse::server;
  const ParsedOptions parsed = parse_options(argc, argv);
  if (!parsed.options) return parsed.exit_status;
  keep_freed_memory();
  epulse::tls::keep_record_buffers();
  spdlog::set_default_logger(spdlog::stderr_color_mt("epulse-ws"));
  spdlog::set_pattern("%n: %v");
  try {
    serve(*parsed.options, {std::filesystem::read_symlink("/proc/self/exe"), argv});
    return 0;
  } catch (const std::exception& error) {
    fmt::print(stderr, "epulse-ws: {}\n", error.what());
    return kSetUpStatus;
  }
}
