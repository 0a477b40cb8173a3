#include "tools/cli/socket_table.hpp"

#include <fmt/format.h>

#include <vector>

#include "agent/model/socket_text.hpp"

namespace epulse::cli {
namespace {

using model::bytes_text;

constexpr size_t kWorst = 5;  // of each order

std::string filled_text(uint32_t bytes, uint32_t limit) {
  return fmt::format("{} / {}", bytes_text(bytes), bytes_text(limit));
}

std::string percent_text(double share) {
  return fmt::format("{:.0f}%", 100 * share);
}

// A socket that talks to anybody is told by where it listens.
std::string peer_text(const socket_record& socket) {
  const std::string peer = model::peer_text(socket);
  const std::string local = model::local_text(socket);
  return peer == "-" && local != "-" ? "on " + local : peer;
}

// What no tracepoint tells is not zero.
std::string event_text(bool seen, uint64_t count) {
  return seen ? fmt::format("{}", count) : "-";
}

bool sees_queue_full(const model::SocketHooks& hooks) {
  return hooks.queue_full || hooks.udp_queue_full;
}

void print_absence(const char* what, const char* tracepoint) {
  fmt::print("   {}: absent, this kernel has no tracepoint {}\n", what, tracepoint);
}

void print_absences(const model::SocketHooks& hooks) {
  if (!hooks.queue_full) print_absence("receive queue full, but UDP's", "sock_rcvqueue_full");
  if (!hooks.udp_queue_full) print_absence("receive queue full, UDP", "udp_fail_queue_rcv_skb");
  if (!hooks.limit_hits) print_absence("buffer limit hit", "sock_exceed_buf_limit");
}

}  // namespace

void print_sockets(const model::SocketPressure& interval) {
  const std::vector<socket_record> sockets = model::worst_of_all(interval.sockets, kWorst);
  if (sockets.empty()) {
    fmt::print("   {} sockets, all queues empty, nothing dropped\n", interval.sockets.size());
  } else {
    fmt::print("   {:>6} {:15} {:24} {:>15} {:>5} {:>15} {:>5} {:>8} {:>8} {:>8}\n", "FD", "SOCKET",
               "PEER", "RX / RCVBUF", "", "TX / SNDBUF", "", "DROPS", "RXFULL", "LIMIT");
  }
  for (const socket_record& socket : sockets) {
    fmt::print("   {:>6} {:15} {:24} {:>15} {:>5} {:>15} {:>5} {:>8} {:>8} {:>8}\n", socket.fd,
               model::kind_text(socket), peer_text(socket),
               filled_text(socket.receive_bytes, socket.rcvbuf_bytes),
               percent_text(model::receive_fill(socket)),
               filled_text(socket.send_bytes, socket.sndbuf_bytes),
               percent_text(model::send_fill(socket)), socket.drops,
               event_text(sees_queue_full(interval.hooks), socket.queue_full),
               event_text(interval.hooks.limit_hits, socket.limit_hits));
  }
}

void print_socket_summary(const model::SocketRun& run, const model::SocketHooks& hooks) {
  const model::SocketTotals& most = run.most();
  fmt::print("\n sockets, {} at most\n", most.sockets);
  fmt::print("   {:14} {:>10} at most together, {:>10} of TCP unread; fullest {}\n",
             "receive queues", bytes_text(static_cast<double>(most.receive_bytes)),
             bytes_text(static_cast<double>(most.unread_bytes)),
             percent_text(run.receive_fill_max()));
  fmt::print("   {:14} {:>10} at most together, {:>10} of TCP unacknowledged; fullest {}\n",
             "send queues", bytes_text(static_cast<double>(most.send_bytes)),
             bytes_text(static_cast<double>(most.unacked_bytes)),
             percent_text(run.send_fill_max()));
  const auto event_line = [&](socket_event event) {
    return fmt::format("{}, {} of sockets of the host that were not known by then",
                       run.events()[event], run.unattributed()[event]);
  };
  fmt::print("   {} drops\n", run.drops());
  if (sees_queue_full(hooks)) {
    fmt::print("   receive queue full: {}\n", event_line(SOCKET_EVENT_QUEUE_FULL));
  }
  if (hooks.limit_hits) {
    fmt::print("   buffer limit hit: {}\n", event_line(SOCKET_EVENT_LIMIT_HIT));
  }
  print_absences(hooks);
  if (most.unknown != 0) {
    fmt::print("   {} sockets were beyond the table's size: their events are not attributed\n",
               most.unknown);
  }
}

}  // namespace epulse::cli
