#include "server/options.hpp"

#include <fmt/format.h>
#include <sys/resource.h>

#include <CLI/CLI.hpp>
#include <cstdio>

namespace epulse::server {
namespace {

constexpr int kUsageStatus = 2;
constexpr std::size_t kReservedFiles = 64;  // ours, besides those of connections

// Raises the limit of open files as far as we may; that many connections fit.
std::size_t connections_that_fit() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return 1024 - kReservedFiles;
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
  getrlimit(RLIMIT_NOFILE, &limit);
  return limit.rlim_cur > 2 * kReservedFiles ? limit.rlim_cur - kReservedFiles : kReservedFiles;
}

void add_tls_options(CLI::App& app, tls::Options& options, std::string& minimum) {
  CLI::Option* certificate =
      app.add_option("--tls-cert", options.certificate_file,
                     "Speak TLS (wss://) with this certificate, then those that vouch for it: a PEM "
                     "file; SIGHUP reads it again");
  CLI::Option* key =
      app.add_option("--tls-key", options.key_file, "The private key of --tls-cert, a PEM file");
  certificate->needs(key);
  key->needs(certificate);
  app.add_option("--tls-min", minimum, "Lowest version of TLS")
      ->check(CLI::IsMember({"1.2", "1.3"}))
      ->needs(certificate);
  app.add_option("--tls-early-data", options.early_paths,
                 "Paths whose requests are answered from TLS early data (0-RTT), which an attacker "
                 "may repeat; no message is ever taken from it")
      ->check([](const std::string& path) {
        return path.starts_with('/') ? "" : "'" + path + "' is no path; paths begin with /";
      })
      ->needs(certificate);
}

}  // namespace

ParsedOptions parse_options(int argc, char** argv) {
  Options options;
  options.session.max_connections = connections_that_fit();
  double idle_seconds = 300;
  double handshake_seconds = 10;
  std::uint64_t handler_delay_us = 0;
  tls::Options tls;
  std::string tls_minimum = "1.3";

  CLI::App app(
      "WebSocket server: echoes on every path; under /topic/NAME, publish and subscribe.\n"
      "GET /healthz answers ok, GET /stats the counters of the workers.");
  app.name("epulse-ws");
  app.option_defaults()->always_capture_default();
  app.add_option("--listen", options.listen, "ADDRESS:PORT to listen on; port 0 picks one");
  app.add_option("--workers", options.workers, "Worker threads; 0: one per allowed CPU")
      ->check(CLI::Range(0, 4096));
  app.add_flag("!--no-pin", options.pin, "Do not pin each worker to a CPU");
  app.add_option("--max-message", options.session.max_message_bytes,
                 "Largest message taken, bytes (larger: close 1009)")
      ->check(CLI::Range(std::uint64_t{1}, std::uint64_t{1} << 40U));
  app.add_option("--max-connections", options.session.max_connections,
                 "Connections served at once (more: 503)");
  app.add_option("--backlog-cap", options.session.backlog_cap_bytes,
                 "Bytes that may wait for a slow subscriber before it is closed");
  app.add_option("--epoll-batch", options.epoll_batch, "Events taken per epoll_wait")
      ->check(CLI::Range(1, 65536));
  app.add_option("--handshake-timeout", handshake_seconds, "Seconds to send the request in")
      ->check(CLI::Range(0.1, 3600.0));
  app.add_option("--idle-timeout", idle_seconds,
                 "Seconds of silence before a connection is closed; a ping is sent at half")
      ->check(CLI::Range(0.1, 1e9));
  app.add_option("--handler-delay-us", handler_delay_us,
                 "Burn this much CPU per message, for demonstrations");
  add_tls_options(app, tls, tls_minimum);
  app.set_version_flag("--version", "epulse-ws " EPULSE_VERSION);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return {std::nullopt, app.exit(error)};
    fmt::print(stderr, "epulse-ws: {}; see epulse-ws --help\n", error.what());
    return {std::nullopt, kUsageStatus};
  }
  options.session.idle_timeout_ns = static_cast<std::uint64_t>(idle_seconds * 1e9);
  options.session.handshake_timeout_ns = static_cast<std::uint64_t>(handshake_seconds * 1e9);
  options.session.handler_delay_ns = handler_delay_us * 1000;
  tls.allow_tls12 = tls_minimum == "1.2";
  if (!tls.certificate_file.empty()) options.tls = tls;
  return {options, 0};
}

}  // namespace epulse::server
