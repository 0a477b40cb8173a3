#include "server/options.hpp"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/choice.hpp"
#include "common/manual_page.hpp"
#include "common/real_range.hpp"
#include "server/error.hpp"
#include "server/ws/http.hpp"
#include "server/ws/inflate_pool.hpp"
#include "server/ws/parser.hpp"
#include "server/ws/subprotocol.hpp"

namespace epulse::server {
namespace {

constexpr int kUsageStatus = 2;

std::string check_subprotocol(const std::string& name) {
  if (name.size() > ws::kMaxProtocolChars) return "sub-protocol longer than 64 characters";
  return ws::is_token(name) ? "" : "sub-protocol '" + name + "' is no token (RFC 9110, 5.6.2)";
}

// A page: to pin less costs more than to copy it.
constexpr std::size_t kZeroCopyLeast = 4096;
constexpr std::size_t kZeroCopyMost = std::size_t{1} << 30U;

std::string read_zero_copy(std::string& value) {
  if (value == "off") value = "0";
  std::size_t bytes = 0;
  const bool number = CLI::detail::lexical_cast(value, bytes);
  if (number && (bytes == 0 || (bytes >= kZeroCopyLeast && bytes <= kZeroCopyMost))) return "";
  return fmt::format("takes bytes from {} to {}, or off", kZeroCopyLeast, kZeroCopyMost);
}

void add_compression_options(CLI::App& app, ws::CompressionOptions& options) {
  using Mode = ws::CompressionOptions::Mode;
  const std::vector<std::pair<std::string, Mode>> modes = {
      {"off", Mode::kOff}, {"shared", Mode::kShared}, {"dedicated", Mode::kDedicated}};
  app.add_option(
         "--compression", options.mode,
         "permessage-deflate: off; shared: one compressor per worker, none per connection;\n"
         "dedicated: one per connection, which remembers earlier messages")
      ->transform(choice(modes))
      ->default_str("off");
  app.add_option("--compression-min-bytes", options.min_bytes,
                 "Messages shorter than this are sent uncompressed");
  app.add_option("--compression-level", options.level, "1, fast, to 9, small")
      ->check(CLI::Range(1, 9));
  app.add_option("--compression-window-bits", options.window_bits,
                 "Dedicated: window of each direction, a power of two of bytes")
      ->default_str(std::to_string(options.window_bits))
      ->check(CLI::Range(int{ws::kMinWindowBits}, int{ws::kMaxWindowBits}));
  app.add_option("--compression-mem-level", options.mem_level,
                 "Dedicated: memory of a compressor beside 4 windows, 1 (1 KiB) to 9 (256 KiB)")
      ->check(CLI::Range(1, 9));
  app.add_option(
      "--inflating-cap", options.inflating_cap_bytes,
      "Bytes that incomplete compressed messages may hold per worker (more: close 1013); at least "
      "--max-message and 40960 for an inflater");
}

std::string check_origin(const std::string& origin) {
  const std::size_t scheme = origin.find("://");
  const bool whole = scheme != std::string::npos && scheme != 0 && scheme + 3 < origin.size() &&
                     origin.find('/', scheme + 3) == std::string::npos;
  if (whole || origin == "null") return "";
  return "'" + origin +
         "' is no origin; write it as browsers do: https://example.org, "
         "with :PORT if it has one, without a path";
}

void add_access_options(CLI::App& app, Options& options) {
  app.add_option("--origin", options.server.session.gate.origins,
                 "Origin whose pages may connect (others: 403); may be given several times; "
                 "without it all may")
      ->type_name("ORIGIN")
      ->allow_extra_args(false)
      ->check(CLI::Validator(check_origin, ""));
  app.add_option("--token-key-file", options.token_key_file,
                 "Ask for an access token, 'Authorization: Bearer TOKEN' or ?token=TOKEN, signed "
                 "with the key in this file (else: 401); docs/server.md says how to make one");
  app.add_option("--max-per-address", options.server.session.address_limits.connections,
                 "Connections at once of one IPv4 address or IPv6 /64 (more: 429, with TLS a "
                 "reset); 0: no limit");
  app.add_option(
         "--connect-rate", options.server.session.address_limits.connects_per_second,
         "Connections per second of one address (more: likewise), twice as many in a burst; "
         "0: no limit")
      ->check(real_range(0.0, 1e6));
}

void add_tls_options(CLI::App& app, tls::Options& options, std::string& minimum) {
  CLI::Option* certificate = app.add_option(
      "--tls-cert", options.certificate_file,
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

std::string contradiction(const ServerOptions& options) {
  if (options.engine.zero_copy.from_bytes != 0 && options.engine.kind != EngineKind::kUring) {
    return "--zerocopy-from is for io_uring alone: give --engine io_uring, too, or leave it out";
  }
  const SessionOptions& session = options.session;
  // Memory for a message doubles as it arrives.
  const std::uint64_t twice = std::uint64_t{2} * session.max_message_bytes;
  const auto too_small = [&](std::string_view option, std::uint64_t cap, std::uint64_t least,
                             std::string_view more) {
    return fmt::format(
        "{} {} has no room for a message of --max-message {} on its way: give {} or more{}", option,
        cap, session.max_message_bytes, least, more);
  };
  if (session.gathering_cap_bytes != 0 && session.gathering_cap_bytes < twice) {
    return too_small("--gathering-cap", session.gathering_cap_bytes, twice, ", or 0 for no limit");
  }
  const ws::CompressionOptions& compression = session.compression;
  const std::uint64_t inflating = session.max_message_bytes + ws::InflatePool::kInflaterBytes;
  if (compression.mode != ws::CompressionOptions::Mode::kOff &&
      compression.inflating_cap_bytes < inflating) {
    return too_small("--inflating-cap", compression.inflating_cap_bytes, inflating, "");
  }
  return {};
}

}  // namespace

ParsedOptions parse_options(int argc, char** argv) {
  Options options;
  double idle_seconds = 300;
  double handshake_seconds = 10;
  double lifetime_seconds = 0;
  double linger_seconds = 1;
  std::uint64_t handler_delay_us = 0;
  tls::Options tls;
  std::string tls_minimum = "1.3";

  CLI::App app(
      "WebSocket server: echoes on every path; under /topic/NAME, publish and subscribe.\n"
      "GET /healthz answers ok, GET /metrics what Prometheus reads, GET /stats the bare counters.");
  app.name("epulse-ws");
  app.option_defaults()->always_capture_default();
  app.add_option("--listen", options.server.listen, "ADDRESS:PORT to listen on; port 0 picks one");
  app.add_option("--workers", options.server.workers, "Worker threads; 0: one per allowed CPU")
      ->check(CLI::Range(0, 4096));
  app.add_flag("!--no-pin", options.server.pin, "Do not pin each worker to a CPU");
  app.add_option("--max-message", options.server.session.max_message_bytes,
                 "Largest message taken, bytes (larger: close 1009)")
      ->check(CLI::Range(1U, ws::kMaxMessageBytes));
  app.add_option(
      "--gathering-cap", options.server.session.gathering_cap_bytes,
      "Bytes that a worker's messages may hold which have not wholly arrived (more: the largest is "
      "closed with 1013); 0: no limit");
  app.add_option("--max-connections", options.server.session.max_connections,
                 "Connections served at once (more: 503); 0: as many as the limit of open files "
                 "lets be, per process with epoll, per worker with io_uring");
  app.add_option("--backlog-cap", options.server.session.backlog_cap_bytes,
                 "Bytes that may wait for a slow subscriber")
      ->check(CLI::Range(std::uint64_t{4096}, std::uint64_t{1'000'000'000'000}));
  const std::vector<std::pair<std::string, SlowPolicy>> policies = {{"drop", SlowPolicy::kDrop},
                                                                    {"skip", SlowPolicy::kSkip}};
  app.add_option("--slow-subscriber", options.server.session.slow_policy,
                 "With more than that: drop, it is reset; skip, it misses what is published until "
                 "it has caught up")
      ->transform(choice(policies))
      ->default_str("drop");
  const std::vector<std::pair<std::string, EngineKind>> engines = {
      {engine_name(EngineKind::kEpoll), EngineKind::kEpoll},
      {engine_name(EngineKind::kUring), EngineKind::kUring}};
  app.add_option("--engine", options.server.engine.kind, "Falls back to epoll without io_uring")
      ->transform(choice(engines))
      ->default_str(engine_name(options.server.engine.kind));
  app.add_option(
         "--zerocopy-from", options.server.engine.zero_copy.from_bytes,
         "io_uring: messages of so many bytes are sent without a copy (SEND_ZC); off: none. "
         "Gains over a network card alone: docs/server.md says when")
      ->type_name("BYTES")
      ->transform(CLI::Validator(read_zero_copy, ""))
      ->default_str("off");
  app.add_option("--epoll-batch", options.server.engine.epoll_batch, "Events taken per epoll_wait")
      ->check(CLI::Range(1, 65536));
  const std::vector<std::pair<std::string, EpollMode>> modes = {
      {"level", EpollMode::kLevel}, {"edge", EpollMode::kEdge}, {"one-shot", EpollMode::kOneShot}};
  app.add_option("--epoll-mode", options.server.engine.epoll_mode,
                 "When epoll tells of a socket: docs/server.md says what each costs")
      ->transform(choice(modes))
      ->default_str("level");
  app.add_option("--handshake-timeout", handshake_seconds, "Seconds to send the request in")
      ->check(real_range(0.1, 3600.0));
  app.add_option("--idle-timeout", idle_seconds,
                 "Seconds of silence before a connection is closed; a ping is sent at half")
      ->check(real_range(0.1, 1e9));
  app.add_option("--max-lifetime", lifetime_seconds,
                 "Seconds after which a connection is closed with 1001; 0: no limit")
      ->check(real_range(0.0, 1e9));
  app.add_flag("--quality-reports", options.echo.quality_reports,
               "Texts in which a client tells of its connection's quality change its largest "
               "message and its pings: docs/server.md has their form");
  app.add_option("--access-log", options.access_log,
                 "File that gets a line per connection when it has ended; SIGHUP opens it anew")
      ->type_name("FILE");
  app.add_option("--access-log-sample", options.server.session.access_sample,
                 "A line for one in so many connections of each worker only")
      ->check(CLI::Range(1U, 1'000'000'000U));
  app.add_option("--control-socket", options.control_socket,
                 "Unix socket on which root and our own user read and change settings: "
                 "docs/server.md has the protocol")
      ->type_name("PATH");
  app.add_flag(
      "--accept-steering", options.accept_steering,
      "A BPF program gives each connection to the worker with the least to do, instead of "
      "the kernel's hash; where that is not allowed the hash does, and a message says why");
  app.add_option("--linger", linger_seconds,
                 "After a hot restart (SIGUSR2), seconds for which the old process serves its "
                 "connections before it closes them with 1001")
      ->check(real_range(0.0, 1e9));
  app.add_option("--subprotocol", options.server.session.subprotocols,
                 "Sub-protocol that clients may ask for; may be given several times")
      ->type_name("NAME")
      ->allow_extra_args(false)
      ->check(CLI::Validator(check_subprotocol, ""));
  add_access_options(app, options);
  add_compression_options(app, options.server.session.compression);
  app.add_option("--handler-delay-us", handler_delay_us,
                 "Burn this much CPU per message, for demonstrations");
  app.allow_config_extras(CLI::config_extras_mode::error);
  app.set_config("--config", "", "TOML file with any of these options: listen = \"0.0.0.0:9001\"");
  add_tls_options(app, tls, tls_minimum);
  app.set_version_flag("--version", "epulse-ws " EPULSE_VERSION);
  add_manual_option(app, {.name = "epulse-ws",
                          .synopsis = "epulse-ws",
                          .brief = "WebSocket server on epoll or io_uring",
                          .command = {},
                          .exit_statuses = {{0, "It was asked to end, and has."},
                                            {2, "Wrong usage, or it cannot serve."}},
                          .see_also = {"epulse 1", "epulse-load 1", "epulsed 1"}});
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return {std::nullopt, app.exit(error)};
    fmt::print(stderr, "epulse-ws: {}; see epulse-ws --help\n", error.what());
    return {std::nullopt, kUsageStatus};
  }
  if (const std::string why = contradiction(options.server); !why.empty()) {
    fmt::print(stderr, "epulse-ws: {}; see epulse-ws --help\n", why);
    return {std::nullopt, kUsageStatus};
  }
  options.server.session.idle_timeout_ns = static_cast<std::uint64_t>(idle_seconds * 1e9);
  options.server.session.handshake_timeout_ns = static_cast<std::uint64_t>(handshake_seconds * 1e9);
  options.server.session.max_lifetime_ns = static_cast<std::uint64_t>(lifetime_seconds * 1e9);
  options.linger = std::chrono::milliseconds(static_cast<std::int64_t>(linger_seconds * 1e3));
  options.echo.delay_ns = handler_delay_us * 1000;
  // A ping is due at half the idle timeout in any case.
  options.echo.at_most.max_message_bytes =
      std::min(options.echo.at_most.max_message_bytes, options.server.session.max_message_bytes);
  options.echo.at_most.ping_interval_s =
      static_cast<std::uint32_t>(std::clamp(idle_seconds / 2, 1.0, 30.0));
  tls.allow_tls12 = tls_minimum == "1.2";
  if (!tls.certificate_file.empty()) options.server.tls = tls;
  return {options, 0};
}

std::string read_token_key(const std::string& file) {
  constexpr std::size_t kMinKeyBytes = 16;
  std::ifstream in(file, std::ios::binary);
  std::string key;
  if (!in || std::filesystem::is_directory(file)) {
    fail("cannot read the key of access tokens, '{}': {}; --token-key-file wants a file", file,
         errno_text(in ? EISDIR : errno));
  }
  key.assign(std::istreambuf_iterator<char>(in), {});
  while (key.ends_with('\n') || key.ends_with('\r')) key.pop_back();
  if (key.size() < kMinKeyBytes) {
    fail("the key of access tokens, '{}', has {} bytes; it takes at least {}: openssl rand -hex 32",
         file, key.size(), kMinKeyBytes);
  }
  return key;
}

}  // namespace epulse::server
