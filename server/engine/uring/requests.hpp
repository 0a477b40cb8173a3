#pragma once

#include <liburing.h>
#include <sys/socket.h>

#include <cstdint>

#include "server/engine/engine.hpp"

// The requests that the engine makes of the kernel, and the tags by which it knows their
// completions. A connection is the file at its slot in the ring's table.
namespace epulse::server::uring {

enum class Kind : std::uint8_t {
  kQuiet,      // completes only when it fails, and nothing is to be done then
  kAccept,     //
  kKnock,      // somebody waits to be accepted
  kWake,       // the wake descriptor was written to
  kTick,       //
  kPlaced,     // the caller's socket is in the table
  kConnected,  // it is connected, or will never be
  kReceive,    //
  kSend,       // completes when the kernel did not take all, or when that was asked for
  kZeroCopy,   // completes, and then again when the memory is free
  kWritable,   // the socket takes more
  kShutDown,   // here is a descriptor to shut the connection down with
  kAddress,    // here is one to ask for its addresses with
  kUnsent,     // how much the socket has not delivered
};

// Kind, slot and generation, as user_data. A completion that comes after its connection was closed
// names nobody, although the slot be in use again.
constexpr std::uint64_t tag(Kind kind, ConnId id = {}) {
  return static_cast<std::uint64_t>(kind) << 56U | std::uint64_t{id.slot} << 32U | id.generation;
}
constexpr Kind kind_of(std::uint64_t tag) {
  return static_cast<Kind>(tag >> 56U);
}
constexpr ConnId conn_of(std::uint64_t tag) {
  return {static_cast<std::uint32_t>(tag >> 32U) & 0xFF'FFFFU, static_cast<std::uint32_t>(tag)};
}

// Each fills an entry that is all zero.

// The kernel picks a free slot for each connection; `many`: again and again.
void accept(io_uring_sqe& entry, int listen_fd, bool many);
void poll(io_uring_sqe& entry, Kind kind, int fd, short events, bool many);
// Every `interval`, which must outlive the submission.
void tick(io_uring_sqe& entry, const __kernel_timespec& interval);

// Puts a descriptor into a free place of the table; the number of that place replaces it.
void place(io_uring_sqe& entry, int& socket);
// Once, as soon as it takes output.
void await_connected(io_uring_sqe& entry, ConnId id);

// Again and again, into buffers of the group.
void receive(io_uring_sqe& entry, ConnId id, std::uint16_t buffer_group);

// At once or not at all: done when the submission returns. The parts must live as long. `quiet`: no
// completion when all was taken.
void send(io_uring_sqe& entry, ConnId id, Part bytes, bool quiet);
void send(io_uring_sqe& entry, ConnId id, const msghdr& message, bool quiet);

// Likewise, but the kernel reads the parts, not the message, until it notifies. Its tag has a
// number instead of the connection's, which may be closed by then.
constexpr std::uint64_t zero_copy_tag(std::uint32_t number) {
  return tag(Kind::kZeroCopy, {number, 0});
}
constexpr std::uint32_t zero_copy_of(std::uint64_t tag) {
  return conn_of(tag).slot;
}
void send_zero_copy(io_uring_sqe& entry, ConnId id, const msghdr& message, std::uint32_t number);

// Again and again, whenever the socket takes more after it took no more.
void await_writable(io_uring_sqe& entry, ConnId id);
void unsent(io_uring_sqe& entry, ConnId id);
// Asks for an ordinary descriptor of the connection.
void install(io_uring_sqe& entry, Kind kind, ConnId id);

void cancel(io_uring_sqe& entry, std::uint64_t tag);
// Makes closing it a reset.
void reset_on_close(io_uring_sqe& entry, ConnId id);
// Frees the slot. The socket is closed when its last request has completed.
void close(io_uring_sqe& entry, ConnId id);

}  // namespace epulse::server::uring
