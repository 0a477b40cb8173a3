#include "agent/model/socket_pressure.hpp"

#include <algorithm>
#include <set>

namespace epulse::model {
namespace {

double fill(uint32_t bytes, uint32_t limit) {
  return limit == 0 ? 0 : static_cast<double>(bytes) / static_cast<double>(limit);
}

double badness(const socket_record& socket, SocketOrder order) {
  switch (order) {
    case SocketOrder::kReceiveFill:
      return receive_fill(socket);
    case SocketOrder::kSendFill:
      return send_fill(socket);
    case SocketOrder::kDrops:
      return static_cast<double>(socket.drops);
  }
  return 0;
}

double fuller(const socket_record& socket) {
  return std::max(receive_fill(socket), send_fill(socket));
}

SocketEvents difference(const SocketEvents& later, const SocketEvents& earlier) {
  SocketEvents events{};
  for (size_t i = 0; i < events.size(); ++i) events[i] = later[i] - earlier[i];
  return events;
}

void add_to(SocketEvents& sum, const SocketEvents& events) {
  for (size_t i = 0; i < sum.size(); ++i) sum[i] += events[i];
}

}  // namespace

std::vector<socket_record> without_duplicates(const std::vector<socket_record>& records) {
  std::vector<socket_record> sockets;
  std::set<uint64_t> seen;
  for (const socket_record& record : records) {
    if (seen.insert(record.socket_id).second) sockets.push_back(record);
  }
  return sockets;
}

double receive_fill(const socket_record& socket) {
  return fill(socket.receive_bytes, socket.rcvbuf_bytes);
}

double send_fill(const socket_record& socket) {
  return fill(socket.send_bytes, socket.sndbuf_bytes);
}

SocketTotals totals(const std::vector<socket_record>& sockets) {
  SocketTotals sum;
  sum.sockets = sockets.size();
  for (const socket_record& socket : sockets) {
    sum.receive_bytes += socket.receive_bytes;
    sum.send_bytes += socket.send_bytes;
    sum.unread_bytes += socket.unread_bytes;
    sum.unacked_bytes += socket.unacked_bytes;
    sum.drops += socket.drops;
    if (socket.known == 0) ++sum.unknown;
  }
  return sum;
}

std::vector<socket_record> worst(const std::vector<socket_record>& sockets, SocketOrder order,
                                 size_t k) {
  std::vector<socket_record> found;
  for (const socket_record& socket : sockets) {
    if (badness(socket, order) > 0) found.push_back(socket);
  }
  const auto end = found.begin() + static_cast<std::ptrdiff_t>(std::min(k, found.size()));
  std::partial_sort(found.begin(), end, found.end(), [&](const auto& a, const auto& b) {
    const double left = badness(a, order);
    const double right = badness(b, order);
    return left > right || (left == right && a.fd < b.fd);
  });
  found.erase(end, found.end());
  return found;
}

std::vector<socket_record> worst_of_all(const std::vector<socket_record>& sockets, size_t k) {
  std::vector<socket_record> found;
  for (const SocketOrder order :
       {SocketOrder::kReceiveFill, SocketOrder::kSendFill, SocketOrder::kDrops}) {
    const std::vector<socket_record> more = worst(sockets, order, k);
    found.insert(found.end(), more.begin(), more.end());
  }
  found = without_duplicates(found);
  std::sort(found.begin(), found.end(), [](const auto& a, const auto& b) {
    return fuller(a) > fuller(b) || (fuller(a) == fuller(b) && a.fd < b.fd);
  });
  return found;
}

SocketPressure SocketIntervals::advance(const SocketPressure& cumulative) {
  SocketPressure interval = cumulative;
  interval.events = difference(cumulative.events, last_.events);
  interval.unattributed = difference(cumulative.unattributed, last_.unattributed);
  std::map<Key, socket_record> sockets;
  for (socket_record& socket : interval.sockets) {
    const Key key{socket.socket_id, socket.inode};
    sockets.emplace(key, socket);
    const auto earlier = last_sockets_.find(key);
    if (earlier == last_sockets_.end()) continue;
    socket.drops -= earlier->second.drops;
    socket.queue_full -= earlier->second.queue_full;
    socket.limit_hits -= earlier->second.limit_hits;
  }
  last_ = cumulative;
  last_sockets_ = std::move(sockets);
  return interval;
}

void SocketRun::add(const SocketPressure& interval) {
  add_to(events_, interval.events);
  add_to(unattributed_, interval.unattributed);
  const SocketTotals now = totals(interval.sockets);
  drops_ += now.drops;
  for (uint64_t SocketTotals::*field :
       {&SocketTotals::sockets, &SocketTotals::receive_bytes, &SocketTotals::send_bytes,
        &SocketTotals::unread_bytes, &SocketTotals::unacked_bytes, &SocketTotals::drops,
        &SocketTotals::unknown}) {
    most_.*field = std::max(most_.*field, now.*field);
  }
  for (const socket_record& socket : interval.sockets) {
    receive_fill_max_ = std::max(receive_fill_max_, receive_fill(socket));
    send_fill_max_ = std::max(send_fill_max_, send_fill(socket));
  }
}

}  // namespace epulse::model
