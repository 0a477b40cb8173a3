// Connections that the caller has opened: their sockets move into the ring's table of files.
#include <poll.h>

#include "server/engine/uring/requests.hpp"
#include "server/engine/uring/uring_engine.hpp"
#include "server/error.hpp"

namespace epulse::server {

using uring::Completion;
using uring::Kind;

// Not read before it is connected: what a receive would say until then differs between states.
ConnId UringEngine::adopt(UniqueFd socket) {
  int place = socket.get();
  uring::place(ring_.next(), place);
  if (const int result = answer_now(uring::tag(Kind::kPlaced)); result != 1) {
    fail("cannot give a connection to io_uring: {}; its table has {} places", errno_text(-result),
         ring_.files());
  }
  Conn& conn = take(static_cast<std::uint32_t>(place));
  conn.connecting = true;
  conn.blocked = true;
  conn.waiting = true;
  uring::await_connected(ring_.next(), conn.id());
  return conn.id();
}

void UringEngine::connected(const Completion& done) {
  Conn* conn = named(done.tag);
  if (conn == nullptr) return;
  conn->connecting = false;
  if (!conn->open) return;
  if (done.result < 0) return close_conn(*conn, CloseReason::kError, -done.result);
  mark_dirty(*conn);
  if ((done.result & (POLLERR | POLLHUP)) != 0) return;  // Why, the receive will tell.
  conn->waiting = false;
  conn->blocked = false;
  handler_.on_drained(conn->id());
}

}  // namespace epulse::server
