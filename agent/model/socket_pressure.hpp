#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <utility>
#include <vector>

#include "bpf/sockets.h"

// How full the socket queues of one process are, and what was lost or refused for it.
namespace epulse::model {

// Which events the kernel tells; a tracepoint that it lacks costs that counter alone.
struct SocketHooks {
  bool queue_full = false;      // sock_rcvqueue_full
  bool udp_queue_full = false;  // udp_fail_queue_rcv_skb
  bool limit_hits = false;      // sock_exceed_buf_limit
};

using SocketEvents = std::array<uint64_t, SOCKET_EVENTS>;

// One pass over the sockets. Events and drops are cumulative, or (as SocketIntervals makes it)
// since the pass before.
struct SocketPressure {
  std::vector<socket_record> sockets;  // each once, by its lowest descriptor
  SocketEvents events{};               // of the process, closed sockets too
  SocketEvents unattributed{};         // of the host's sockets that no pass had met by then
  SocketHooks hooks;
};

// A socket that has several descriptors appears once, by the first.
std::vector<socket_record> without_duplicates(const std::vector<socket_record>& records);

// The queue's memory over its limit. May exceed 1: the last packet in may be larger than the rest.
double receive_fill(const socket_record& socket);
double send_fill(const socket_record& socket);

struct SocketTotals {
  uint64_t sockets = 0;
  uint64_t receive_bytes = 0;
  uint64_t send_bytes = 0;
  uint64_t unread_bytes = 0;
  uint64_t unacked_bytes = 0;
  uint64_t drops = 0;
  uint64_t unknown = 0;  // sockets that found no room: their events are unattributed
};
SocketTotals totals(const std::vector<socket_record>& sockets);

enum class SocketOrder { kReceiveFill, kSendFill, kDrops };

// The `k` worst, worst first; equal ones by descriptor. Those with nothing at all are left out.
std::vector<socket_record> worst(const std::vector<socket_record>& sockets, SocketOrder order,
                                 size_t k);

// The `k` worst of each order, each socket once, by the fuller of its queues.
std::vector<socket_record> worst_of_all(const std::vector<socket_record>& sockets, size_t k);

// Turns cumulative passes into intervals. A socket that the pass before did not meet is new, and so
// is all that happened to it.
class SocketIntervals {
 public:
  explicit SocketIntervals(const SocketPressure& start) { advance(start); }
  SocketPressure advance(const SocketPressure& cumulative);

 private:
  using Key = std::pair<uint64_t, uint64_t>;  // socket, inode

  SocketPressure last_;
  std::map<Key, socket_record> last_sockets_;
};

// What a run comes to: the worst that any pass found, and the sum of the intervals.
class SocketRun {
 public:
  void add(const SocketPressure& interval);

  const SocketEvents& events() const { return events_; }
  const SocketEvents& unattributed() const { return unattributed_; }
  uint64_t drops() const { return drops_; }
  const SocketTotals& most() const { return most_; }  // of each field
  double receive_fill_max() const { return receive_fill_max_; }
  double send_fill_max() const { return send_fill_max_; }

 private:
  SocketEvents events_{};
  SocketEvents unattributed_{};
  uint64_t drops_ = 0;
  SocketTotals most_;
  double receive_fill_max_ = 0;
  double send_fill_max_ = 0;
};

}  // namespace epulse::model
