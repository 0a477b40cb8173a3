#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "server/engine/address.hpp"

// What moves bytes between sockets and the application, whichever kernel interface does it. An
// engine belongs to one thread and knows nothing of WebSocket.
namespace epulse::server {

// Names a connection. The slot is reused, the generation tells the users of one slot apart, so that
// an id kept too long names nothing instead of a stranger.
struct ConnId {
  std::uint32_t slot = 0;
  std::uint32_t generation = 0;

  // In one step: asked several times for each message.
  friend bool operator==(const ConnId& a, const ConnId& b) {
    return std::bit_cast<std::uint64_t>(a) == std::bit_cast<std::uint64_t>(b);
  }
};

enum class CloseReason : std::uint8_t {
  kPeer,      // the peer ended the stream
  kError,     // reset, timed out, ...
  kFinished,  // finish() was asked for and done
  kAborted,   // abort() was asked for
};

using Bytes = std::vector<std::uint8_t>;
using SharedBytes = std::shared_ptr<const Bytes>;
using Part = std::span<const std::uint8_t>;

// Called by the engine from its loop, never from inside an operation: callbacks do not nest.
class Handler {
 public:
  virtual ~Handler() = default;
  virtual void on_accept(ConnId conn) = 0;
  // `input` may be changed in place; it is gone after the call.
  virtual void on_data(ConnId conn, std::span<std::uint8_t> input) = 0;
  // What could not be sent at once has left.
  virtual void on_drained(ConnId conn) = 0;
  // The last callback of a connection, however it ended.
  virtual void on_closed(ConnId conn, CloseReason reason) = 0;
  // The wake descriptor was written to by another thread.
  virtual void on_wake() = 0;
  // About every kTickNs.
  virtual void on_tick() = 0;
};

constexpr std::uint64_t kTickNs = 250'000'000;

class Engine {
 public:
  Engine() = default;
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;
  virtual ~Engine() = default;

  // Runs the loop until stop().
  virtual void run() = 0;
  virtual void stop() = 0;
  virtual void stop_accepting() = 0;

  // The clock (CLOCK_MONOTONIC) as read at the start of this turn of the loop.
  virtual std::uint64_t now_ns() const = 0;

  // Events to take from the kernel in one turn, from the next on; for who asks it for so many.
  virtual void set_batch(std::size_t /*events*/) {}

  // Operations on a connection that is gone do nothing.

  // Takes the bytes over before it returns. All that a connection is given in one turn leaves by
  // the end of it, in one call where it fits.
  virtual void send(ConnId conn, std::span<const Part> parts) = 0;
  // Room for `bytes` more of it, to be filled before the next call of the engine: a short frame is
  // made where it leaves from. nullptr where send() has to take it.
  std::uint8_t* room(ConnId conn, std::size_t bytes) {
    if (conn == room_.conn && bytes <= static_cast<std::size_t>(room_.end - room_.at)) {
      return std::exchange(room_.at, room_.at + bytes);
    }
    return open_room(conn, bytes);
  }
  // Likewise as send(), without a copy.
  virtual void send_shared(ConnId conn, SharedBytes bytes) = 0;
  // Bytes not yet taken by the kernel.
  virtual std::size_t queued_bytes(ConnId conn) const = 0;
  // Whether the socket took less than it was offered: what is queued waits until it takes more, and
  // on_drained() follows.
  virtual bool blocked(ConnId conn) const = 0;

  // Has the handler take input that it kept, as if it had just come, outside of on_data().
  virtual void deliver(ConnId conn, std::span<std::uint8_t> input) = 0;

  virtual void pause_reading(ConnId conn) = 0;
  virtual void resume_reading(ConnId conn) = 0;

  // Bytes that the peer has not acknowledged: queued here or in the kernel. Costs a system call.
  virtual std::size_t unacknowledged_bytes(ConnId conn) = 0;

  // Whom it is connected with; of size 0 when nobody can tell any more. Costs a system call with
  // epoll, four with io_uring.
  virtual Address peer_address(ConnId conn) = 0;

  // Sends what is queued, then FIN, and waits for the peer's, which may have come before.
  virtual void finish(ConnId conn) = 0;
  // Resets; what is queued is dropped.
  virtual void abort(ConnId conn) = 0;

 protected:
  // Where what is written to `conn` leaves from: after its first short frame it goes on there by
  // itself. An engine shuts it before anything else moves that memory, or decides where the next
  // byte of the connection goes: another way of sending, its end, the end of the turn. Until then
  // the engine's own count of that memory is without what was written.
  struct Room {
    ConnId conn;
    std::uint8_t* at = nullptr;
    std::uint8_t* end = nullptr;
  };
  Room room_;

  // As room(), which may then go on from there.
  virtual std::uint8_t* open_room(ConnId /*conn*/, std::size_t /*bytes*/) { return nullptr; }
};

}  // namespace epulse::server
