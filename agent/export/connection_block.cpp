#include "agent/export/connection_block.hpp"

#include <algorithm>

#include "agent/export/byte_stream.hpp"

namespace epulse::record {
namespace {

// The shortest one: instance, two empty addresses.
constexpr uint64_t kConnectionBytesMin = 3;

// Digits, dots, colons, brackets: nothing that a terminal would obey.
bool take_address(ByteReader& in, std::string& address) {
  const std::string_view text = in.text();
  const auto is_graphic = [](char c) { return c > ' ' && c <= '~'; };
  if (text.size() > kAddressBytesMax || !std::all_of(text.begin(), text.end(), is_graphic)) {
    return false;
  }
  address = text;
  return true;
}

}  // namespace

std::string encode_connections(uint64_t time_ns, std::span<const WatchedConnection> connections) {
  ByteWriter out;
  out.number(time_ns);
  out.number(connections.size());
  uint64_t epoll_id = 0;
  for (const WatchedConnection& connection : connections) {
    out.difference(connection.epoll_id, epoll_id);
    epoll_id = connection.epoll_id;
    out.text(connection.local);
    out.text(connection.peer);
  }
  return out.str();
}

bool decode_connections(std::string_view payload, uint64_t& time_ns,
                        std::vector<WatchedConnection>& connections) {
  ByteReader in(payload);
  connections.clear();
  time_ns = in.number();
  const uint64_t count = in.number();
  if (!in.ok() ||
      count > std::min<uint64_t>(kConnectionsInBlockMax, in.left() / kConnectionBytesMin))
    return false;
  connections.reserve(count);
  uint64_t epoll_id = 0;
  for (uint64_t i = 0; i < count; ++i) {
    WatchedConnection& connection = connections.emplace_back();
    connection.epoll_id = epoll_id = in.difference(epoll_id);
    if (!take_address(in, connection.local) || !take_address(in, connection.peer)) return false;
  }
  return in.ok();
}

}  // namespace epulse::record
