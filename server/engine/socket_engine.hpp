#pragma once

#include <cstdint>
#include <limits>

#include "common/unique_fd.hpp"
#include "server/engine/engine.hpp"

namespace epulse::server {

constexpr std::uint64_t kForever = std::numeric_limits<std::uint64_t>::max();

// An engine that owns sockets, as a filter on one does not: it may also be driven by its caller,
// turn by turn, and serve connections that the caller has opened.
class SocketEngine : public Engine {
 public:
  // One turn of the loop: what was said since the last one leaves, then it waits for events, at
  // most so long, and handles them.
  virtual void turn(std::uint64_t timeout_ns) = 0;

  // Takes over a stream socket that does not block and is connected, or about to be. on_drained()
  // follows when it is; what is sent before waits. Nobody calls on_accept(). Throws Error when
  // there is no place for it; epoll tells that by on_closed().
  virtual ConnId adopt(UniqueFd socket) = 0;

  // Likewise as send(), of all that the connection is given in this callback or between two turns:
  // an engine that can do so sends it from where it is.
  virtual void send_gathered(ConnId conn, Part bytes) { send(conn, {&bytes, 1}); }

  // Ends it without waiting for the peer, as close(2) does: of what it was given before, what the
  // socket takes of one request at once still leaves.
  virtual void close(ConnId conn) = 0;

  // While on_closed() tells of an error: which (errno).
  int close_errno() const { return close_errno_; }

  // Its own end; of size 0 when nobody can tell any more. Costs as much as peer_address().
  virtual Address own_address(ConnId conn) = 0;

 protected:
  // A connection that is no more, and that on_closed() is still to be told of.
  struct Closed {
    std::uint32_t slot;
    CloseReason reason;
    int code;  // errno of an error
  };

  int close_errno_ = 0;
};

}  // namespace epulse::server
