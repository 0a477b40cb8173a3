#pragma once

#include <array>
#include <string_view>

#include "server/contract/stats_page.h"

namespace epulse::server {

// What a worker counts, by name: for /stats, and as Prometheus has it for /metrics.
struct Counter {
  std::string_view name;
  std::string_view metric;  // without the prefix epulse_ws_
  std::string_view type;    // of Prometheus
  std::string_view help;
  __u64 epulse_stats_worker::*field;
  double unit = 1;  // what one of the field's is in the metric's unit
};

constexpr std::array<Counter, 22> kCounters = {{
    {"connections", "connections", "gauge", "WebSocket connections open now",
     &epulse_stats_worker::connections},
    {"accepted", "handshakes_total", "counter", "Opening handshakes completed",
     &epulse_stats_worker::accepted},
    {"refused", "handshakes_refused_total", "counter", "Opening handshakes refused",
     &epulse_stats_worker::refused},
    {"loop_turns", "loop_turns_total", "counter", "Turns of the event loop",
     &epulse_stats_worker::loop_turns},
    {"events", "loop_events_total", "counter", "Events handled by the event loop",
     &epulse_stats_worker::events},
    {"batch_max", "loop_batch_max", "gauge", "Most events in one turn so far",
     &epulse_stats_worker::batch_max},
    {"saturated", "loop_saturated_total", "counter", "Turns that filled the event array",
     &epulse_stats_worker::saturated},
    {"handler_ns", "loop_busy_seconds_total", "counter",
     "Time between a return from the kernel's wait and the next", &epulse_stats_worker::handler_ns,
     1e-9},
    {"messages_in", "messages_received_total", "counter", "Messages from clients",
     &epulse_stats_worker::messages_in},
    {"messages_out", "messages_sent_total", "counter", "Messages queued to clients",
     &epulse_stats_worker::messages_out},
    {"bytes_in", "received_bytes_total", "counter", "Bytes from the sockets",
     &epulse_stats_worker::bytes_in},
    {"bytes_out", "sent_bytes_total", "counter", "Bytes that the sockets took",
     &epulse_stats_worker::bytes_out},
    {"protocol_errors", "protocol_errors_total", "counter",
     "Connections failed: a breach of RFC 6455, or a message too big",
     &epulse_stats_worker::protocol_errors},
    {"slow_closed", "slow_closed_total", "counter",
     "Connections closed because their backlog passed the cap", &epulse_stats_worker::slow_closed},
    {"slow_skipped", "slow_skipped_total", "counter",
     "Topic messages not queued to a subscriber whose backlog was past the cap",
     &epulse_stats_worker::slow_skipped},
    {"gathering_closed", "gathering_closed_total", "counter",
     "Connections closed because unfinished messages passed --gathering-cap, or other workers were "
     "behind with what they published",
     &epulse_stats_worker::gathering_closed},
    {"zero_copy_sends", "zero_copy_sends_total", "counter",
     "Sends without a copy (--zerocopy-from)", &epulse_stats_worker::zero_copy_sends},
    {"zero_copy_copied", "zero_copy_copied_total", "counter",
     "Sends without a copy that the kernel copied after all",
     &epulse_stats_worker::zero_copy_copied},
    {"zero_copy_held_bytes", "zero_copy_held_bytes", "gauge",
     "Bytes of sends without a copy that the kernel has not done with",
     &epulse_stats_worker::zero_copy_held_bytes},
    {"published", "published_total", "counter", "Topic messages taken from clients",
     &epulse_stats_worker::published},
    {"delivered", "delivered_total", "counter", "Topic messages queued to subscribers",
     &epulse_stats_worker::delivered},
    {"allocations", "allocations_total", "counter", "Heap allocations of the worker's thread",
     &epulse_stats_worker::allocations},
}};

}  // namespace epulse::server
