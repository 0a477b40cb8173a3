#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "server/engine/engine_options.hpp"
#include "tools/load/expectation.hpp"
#include "tools/load/message_sizes.hpp"
#include "tools/load/rate_search.hpp"

namespace epulse::load {

struct Options {
  std::string url = "ws://127.0.0.1:9001/";
  std::uint32_t connections = 100;
  MessageSizes sizes;
  double duration_s = 10;           // of a ramp: each probe's
  std::vector<double> rates;        // messages per second, one after the other; none: closed loop
  std::optional<Expectation> ramp;  // looks for the highest rate that meets it
  SearchBounds ramp_bounds;
  std::uint32_t pipeline = 1;    // closed loop: messages that leave together
  bool handshakes = false;       // opens connections instead of sending messages
  bool idle = false;             // holds connections without a message of ours
  pid_t memory_of = 0;           // the process that they cost memory; 0: none
  bool broadcast = false;        // all connections subscribe, the first ones publish
  std::uint32_t publishers = 1;  // broadcast: at most the connections; 0: others publish
  std::uint32_t window = 1;      // closed loop: messages in flight for each sender
  std::uint32_t threads = 1;     // of each process
  std::uint32_t processes = 1;
  server::EngineKind engine = server::EngineKind::kEpoll;
  std::vector<std::string> sources;  // addresses to connect from, in turn; empty: any
  double open_timeout_s = 10;        // for a connection to be up
  double progress_s = 1;             // 0: off
  bool json = false;
  std::vector<Expectation> expectations;
  std::string hdr_log_file;  // empty: none, as with those that follow
  std::string percentiles_file;
  std::string record_file;
  std::uint64_t record_every = 1;
  std::string metrics_address;  // to listen on
  bool compression = false;     // offers permessage-deflate
  std::string tls_ca_file;      // trusted instead of the system's; empty: those
  bool tls_insecure = false;    // whoever the server is
  bool tls_resume = false;      // connections resume the session of an earlier one

  bool open_loop() const { return !rates.empty(); }
  // Stretches of the same length, each with a rate.
  std::size_t steps() const { return open_loop() ? rates.size() : 1; }
  std::uint64_t step_ns() const {
    return static_cast<std::uint64_t>(duration_s * 1e9 / static_cast<double>(steps()));
  }
  std::uint64_t length_ns() const { return steps() * step_ns(); }
  // Messages per second, over all steps; 0: closed loop.
  double mean_rate() const;
  // Between intervals; 0: none are wanted.
  double interval_s() const { return progress_s == 0 && !hdr_log_file.empty() ? 1 : progress_s; }
  // Closed loop: messages of a connection that leave together at the start.
  std::uint32_t at_once() const { return pipeline > 1 ? pipeline : window; }
  // Threads of all processes.
  std::uint32_t all_threads() const { return threads * processes; }
  // Connections that send messages.
  std::uint32_t senders() const { return broadcast ? publishers : connections; }
};

struct ParsedOptions {
  std::optional<Options> options;
  int exit_status = 0;  // when there are none
};
ParsedOptions parse_options(int argc, char** argv);

}  // namespace epulse::load
