#include "tools/load/options.hpp"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <numeric>
#include <string>
#include <utility>
#include <vector>

#include "common/choice.hpp"
#include "common/manual_page.hpp"
#include "common/real_range.hpp"
#include "tools/load/rate_options.hpp"
#include "tools/load/stamp.hpp"

namespace epulse::load {
namespace {

constexpr int kUsageStatus = 2;

constexpr const char* kAbout =
    "WebSocket load: sends messages to a server that echoes them, checks every byte of the\n"
    "answers and reports how long they took.\n"
    "With --rate, messages leave on a fixed timetable and their latency counts from the moment\n"
    "they were due, so a server that stalls cannot hide it. Without, each connection sends its\n"
    "next message when the answer to the last has come.\n"
    "With --ramp, it looks for the highest rate at which they stay as short as you want; with\n"
    "--idle, connections are held and nothing is sent.\n"
    "With --broadcast, it is a topic to which all that is sent comes back on every connection:\n"
    "order, loss and repetition are told by number, latency is that of each delivery.\n"
    "tcp:// instead of ws:// loads a server that echoes whatever it receives: the same bytes,\n"
    "without WebSocket.\n"
    "Exit status: 0 all is well, 1 errors or an --expect that is not met, 2 no load at all,\n"
    "or no room for its results.";

// Throws CLI::ParseError.
void check_broadcast(const Options& options) {
  if (!options.broadcast) return;
  if (options.publishers > options.connections) {
    throw CLI::ValidationError("--publishers", "at most as many as --connections");
  }
  if (!options.sizes.fixed()) {
    throw CLI::ValidationError("--size", "one for all with --broadcast, by which it is checked");
  }
  if (options.sizes.max() < kStampBytes) {
    throw CLI::ValidationError(
        "--size", fmt::format("at least {} with --broadcast, for what is checked", kStampBytes));
  }
}

void add_load(CLI::App& app, Options& options) {
  app.add_option("url", options.url, "ws://HOST:PORT/PATH, wss:// for TLS, or tcp://HOST:PORT");
  app.add_option("-c,--connections", options.connections, "Connections")
      ->check(CLI::Range(1, 1'000'000));
  app.add_option_function<std::string>(
         "-s,--size",
         [&options](const std::string& text) {
           const std::optional<MessageSizes> sizes = MessageSizes::parse(text);
           if (!sizes) {
             throw CLI::ValidationError(
                 "--size", fmt::format("'{}' is none; write BYTES, FROM-TO or 20:90,1024-4096:10, "
                                       "each at most {}",
                                       text, MessageSizes::kMaxBytes));
           }
           options.sizes = *sizes;
         },
         "Bytes in a message, or several such by their shares: 20:90,1024-16384:10")
      ->default_str(options.sizes.text());
  app.add_option("-d,--duration", options.duration_s, "Seconds")->check(real_range(0.01, 1e7));
  app.add_option("-t,--threads", options.threads, "Threads")->check(CLI::Range(1, 1024));
  app.add_option("--processes", options.processes,
                 "Processes that share the connections, for more than one may have open files; "
                 "each has --threads")
      ->check(CLI::Range(1, 1024));
  const std::vector<std::pair<std::string, server::EngineKind>> engines = {
      {server::engine_name(server::EngineKind::kEpoll), server::EngineKind::kEpoll},
      {server::engine_name(server::EngineKind::kUring), server::EngineKind::kUring}};
  app.add_option("--engine", options.engine,
                 "What sends and receives: the engines of epulse-ws; io_uring wants Linux 6.8")
      ->transform(choice(engines))
      ->default_str(server::engine_name(options.engine));
  app.add_option("--source", options.sources,
                 "Addresses to connect from, in turn: each has ports of its own")
      ->delimiter(',')
      ->allow_extra_args(false);
  app.add_option("--open-timeout", options.open_timeout_s, "Seconds for a connection to open")
      ->check(real_range(0.01, 1e5));
  app.add_flag("--compression", options.compression,
               "Offer permessage-deflate, and send messages that can be compressed");
  CLI::Option* ca = app.add_option("--tls-ca", options.tls_ca_file,
                                   "Certificates to trust, a PEM file, instead of the system's");
  app.add_flag("--tls-insecure", options.tls_insecure, "Take any certificate")->excludes(ca);
  app.add_flag("--tls-resume", options.tls_resume,
               "Connections resume the TLS session of an earlier one, where the server gave a "
               "ticket");
}

// What is sent when.
void add_modes(CLI::App& app, Options& options) {
  CLI::Option* rate = app.get_option("--rate");
  CLI::Option* ramp = app.get_option("--ramp");
  CLI::Option* pipeline =
      app.add_option("--pipeline", options.pipeline,
                     "Messages that a connection sends in one piece; the next follow when all are "
                     "answered")
          ->check(CLI::Range(1, 65536))
          ->excludes(rate)
          ->excludes(ramp);
  CLI::Option* handshakes =
      app.add_flag("--handshakes", options.handshakes,
                   "Each connection opens, closes and opens again; no messages")
          ->excludes(rate)
          ->excludes(ramp)
          ->excludes(pipeline);
  CLI::Option* broadcast =
      app.add_flag("--broadcast", options.broadcast,
                   "All connections subscribe to the topic that the URL names, some publish")
          ->excludes(handshakes)
          ->excludes(pipeline);
  CLI::Option* idle = app.add_flag("--idle", options.idle,
                                   "The connections are held and pings answered; nothing is sent")
                          ->excludes(rate)
                          ->excludes(ramp)
                          ->excludes(pipeline)
                          ->excludes(handshakes)
                          ->excludes(broadcast);
  app.add_option("--memory-of", options.memory_of,
                 "A process, the server: what a connection costs it, from before the first to when "
                 "all are open")
      ->check(CLI::Range(1, 1 << 22))  // PID_MAX_LIMIT of the kernel
      ->excludes(ramp)
      ->default_str("none");
  app.add_option(
         "--publishers", options.publishers,
         "Of the connections, so many publish; 0: another process does, which begins when all "
         "of ours are open")
      ->check(CLI::Range(std::uint32_t{0}, kMaxPublishers))
      ->needs(broadcast);
  app.add_option(
         "--window", options.window,
         "Messages of a connection that are not answered yet; with --broadcast, messages of "
         "a publisher that some subscriber does not have yet")
      ->check(CLI::Range(1, 65536))
      ->excludes(rate)
      ->excludes(ramp)
      ->excludes(pipeline)
      ->excludes(handshakes)
      ->excludes(idle);
}

void add_outputs(CLI::App& app, Options& options) {
  app.add_option("--progress", options.progress_s, "Seconds between progress lines; 0: none")
      ->check(real_range(0.0, 1e6));
  app.add_flag("-j,--json", options.json,
               "The result as one line of JSON; with --progress, each interval too");
  app.add_option_function<std::vector<std::string>>(
         "--expect",
         [&options](const std::vector<std::string>& texts) {
           for (const std::string& text : texts) {
             const std::optional<Expectation> expectation = parse_expectation(text);
             if (!expectation) {
               throw CLI::ValidationError(
                   "--expect",
                   fmt::format("'{}' is none; write p99<2ms, rate>=50000 or errors=0", text));
             }
             options.expectations.push_back(*expectation);
           }
         },
         "What the result is to meet, or the exit status is 1: p99<2ms, max<50ms, errors=0, ...")
      ->allow_extra_args(false);
  app.add_option("--hgrm", options.percentiles_file, "Write HdrHistogram's percentiles to a file");
  app.add_option("--hdr-log", options.hdr_log_file,
                 "Write each interval's histogram (HdrHistogram V2, base64) to a file");
  CLI::Option* record = app.add_option("--record", options.record_file,
                                       "Write each message's times to a file, for epulse report "
                                       "--join");
  for (const char* other : {"--broadcast", "--handshakes", "--idle"}) {
    record->excludes(app.get_option(other));
  }
  record->excludes(app.get_option("--processes"));
  app.add_option("--record-every", options.record_every, "Record only every so many messages")
      ->check(CLI::Range(1, 1'000'000'000))
      ->needs(record);
  app.add_option("--metrics", options.metrics_address,
                 "Answer GET /metrics for Prometheus on ADDRESS:PORT while it runs");
  // Of many short loads there is no such thing.
  for (const char* other : {"--progress", "--hgrm", "--hdr-log", "--record"}) {
    app.get_option("--ramp")->excludes(app.get_option(other));
  }
}

}  // namespace

double Options::mean_rate() const {
  return std::accumulate(rates.begin(), rates.end(), 0.0) / static_cast<double>(steps());
}

ParsedOptions parse_options(int argc, char** argv) {
  Options options;
  CLI::App app(kAbout);
  app.name("epulse-load");
  app.option_defaults()->always_capture_default();
  add_load(app, options);
  RateOptions rates;
  rates.add(app, options);
  add_modes(app, options);
  add_outputs(app, options);
  app.set_version_flag("--version", "epulse-load " EPULSE_VERSION);
  add_manual_option(app, {.name = "epulse-load",
                          .synopsis = "epulse-load",
                          .brief = "WebSocket load, open or closed loop, with honest latencies",
                          .command = {},
                          .exit_statuses = {{0, "All is well."},
                                            {1, "Errors, or an --expect that is not met."},
                                            {2,
                                             "No load at all: wrong usage, or no connection; or "
                                             "no room for its results."}},
                          .see_also = {"epulse 1", "epulse-report 1", "epulse-ws 1"}});
  try {
    app.parse(argc, argv);
    check_broadcast(options);
    rates.finish(app, options);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return {std::nullopt, app.exit(error)};
    fmt::print(stderr, "epulse-load: {}; see epulse-load --help\n", error.what());
    return {std::nullopt, kUsageStatus};
  }
  if (options.json && app.count("--progress") == 0) options.progress_s = 0;
  options.processes = std::min(options.processes, options.connections);
  options.threads = std::min(options.threads, options.connections / options.processes);
  return {options, 0};
}

}  // namespace epulse::load
