// Sending: what a connection was given in a turn is one request at the end of it, which the kernel
// does or refuses at once, so that the bytes need to live no longer than the call; but for sends
// without a copy (zero_copy.cpp). What does not fit into one request leaves in those that follow,
// still in the same turn.
#include <poll.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "server/contract/stats_writer.hpp"
#include "server/engine/uring/requests.hpp"
#include "server/engine/uring/uring_engine.hpp"

namespace epulse::server {
namespace {

constexpr std::size_t kPartsPerSend = 64;
// No further part from here on: they are counted in 32 bits.
constexpr std::size_t kBytesPerSend = std::size_t{1} << 30U;
// Of zero-copy sends, all of which the kernel counts as locked (since 6.15), whatever the socket
// takes.
constexpr std::size_t kBytesPerZeroCopy = std::size_t{1} << 20U;

std::size_t total(std::span<const Part> parts) {
  std::size_t bytes = 0;
  for (const Part part : parts) bytes += part.size();
  return bytes;
}

SharedBytes joined(std::span<const Part> parts) {
  Bytes bytes;
  bytes.reserve(total(parts));
  for (const Part part : parts) bytes.insert(bytes.end(), part.begin(), part.end());
  return std::make_shared<const Bytes>(std::move(bytes));
}

}  // namespace

using uring::Completion;
using uring::Kind;

void UringEngine::send(ConnId id, std::span<const Part> parts) {
  shut_room();
  Conn* conn = find(id);
  if (conn == nullptr || conn->finishing || conn->closing) return;
  mark_dirty(*conn);
  if (is_zero_copy(*conn, total(parts))) {
    spill(*conn);
    return output_of(*conn).append_shared(joined(parts));
  }
  if (!conn->output && !conn->waiting && arena_.append(conn->run, parts)) return;
  spill(*conn);
  for (const Part part : parts) output_of(*conn).append(part);
}

std::uint8_t* UringEngine::open_room(ConnId id, std::size_t bytes) {
  shut_room();
  Conn* conn = find(id);
  if (conn == nullptr || conn->finishing || conn->closing) return nullptr;
  if (conn->output || conn->waiting || is_zero_copy(*conn, bytes)) return nullptr;
  std::uint8_t* const at = arena_.extend(conn->run, bytes);
  if (at == nullptr) return nullptr;
  mark_dirty(*conn);
  const std::span<std::uint8_t> rest = arena_.rest();
  room_ = {id, rest.data(), rest.data() + rest.size()};
  return at;
}

// Since it was opened: neither the arena nor the connection knows of that yet.
std::size_t UringEngine::written_to_room() const {
  return room_.at == nullptr ? 0 : static_cast<std::size_t>(room_.at - arena_.rest().data());
}

void UringEngine::shut_room() {
  const std::size_t bytes = written_to_room();
  if (bytes != 0) arena_.extend(conns_[room_.conn.slot].run, bytes);
  room_ = {};
}

void UringEngine::send_shared(ConnId id, SharedBytes bytes) {
  Conn* conn = find(id);
  if (conn == nullptr || conn->finishing || conn->closing) return;
  mark_dirty(*conn);
  spill(*conn);
  output_of(*conn).append_shared(std::move(bytes));
}

void UringEngine::spill(Conn& conn) {
  shut_room();
  if (conn.run.bytes == 0) return;
  output_of(conn).append(arena_.view(conn.run));
  conn.run = {};
}

OutputQueue& UringEngine::output_of(Conn& conn) {
  if (!conn.output) conn.output = outputs_.take();
  return *conn.output;
}

// Submitting.

void UringEngine::offer(Conn& conn) {
  if (conn.waiting) return;
  const bool all = conn.output ? offer_output(conn) : offer_run(conn);
  if (!all || !conn.finishing || conn.fin_sent || conn.installing) return;
  if (conn.ended) {
    // Closing sends FIN, too, and the peer's is here already.
    if (conn.offered == 0) close_conn(conn, CloseReason::kFinished);
  } else {
    conn.installing = true;
    uring::install(ring_.next(), Kind::kShutDown, conn.id());
  }
}

// Each answers whether it has offered all there is.

bool UringEngine::offer_run(Conn& conn) {
  if (conn.run.bytes == 0) return true;
  conn.offered = conn.run.bytes;
  offered_.push_back(conn.id());
  uring::send(ring_.next(), conn.id(), arena_.view(conn.run), may_be_quiet(conn));
  return true;
}

bool UringEngine::offer_output(Conn& conn) {
  if (parts_used_ + kPartsPerSend > parts_.size() || messages_used_ == messages_.size()) {
    ring_.submit();
    parts_used_ = 0;
    messages_used_ = 0;
  }
  const auto room = std::span(parts_).subspan(parts_used_, kPartsPerSend);
  const auto gathered = room.first(conn.output->gather(room));
  std::size_t bytes = 0;
  std::size_t used = 0;
  // All with a copy or all without, to keep their order.
  const bool zero_copy = !gathered.empty() && is_zero_copy(conn, gathered[0].iov_len);
  const std::size_t most = zero_copy ? kBytesPerZeroCopy : kBytesPerSend;
  while (used < gathered.size() && bytes < most &&
         is_zero_copy(conn, gathered[used].iov_len) == zero_copy) {
    bytes += gathered[used++].iov_len;
  }
  if (bytes > most) {
    gathered[used - 1].iov_len -= bytes - most;
    bytes = most;
  }
  const auto parts = gathered.first(used);
  const bool all = bytes == conn.output->bytes();
  conn.offered = static_cast<std::uint32_t>(bytes);
  if (zero_copy) {
    offer_zero_copy(conn, parts);
    return all;
  }
  offered_.push_back(conn.id());
  const bool quiet = all && may_be_quiet(conn);
  if (parts.size() == 1) {
    const Part part(static_cast<const std::uint8_t*>(parts[0].iov_base), bytes);
    uring::send(ring_.next(), conn.id(), part, quiet);
    return all;
  }
  uring::send(ring_.next(), conn.id(), message_of(parts), quiet);
  return all;
}

// Of the first of the parts that are not used.
const msghdr& UringEngine::message_of(std::span<iovec> parts) {
  parts_used_ += parts.size();
  msghdr& message = messages_[messages_used_++];
  message.msg_iov = parts.data();
  message.msg_iovlen = parts.size();
  return message;
}

// Not when something is to follow as soon as all was taken: without a completion the loop would
// wait for another event first.
bool UringEngine::may_be_quiet(const Conn& conn) const {
  return !conn.blocked && !(conn.finishing && conn.ended);
}

// Each settled before the next, to keep the order.
void UringEngine::send_the_rest() {
  while (!dirty_.empty()) {
    attend_all();
    ring_.submit();
    collect();
  }
  for (const ConnId id : std::exchange(retries_, {})) {
    if (Conn* conn = find(id)) mark_dirty(*conn);
  }
}

// Settling.

void UringEngine::settle(const Completion& done) {
  Conn* conn = named(done.tag);
  if (conn == nullptr || conn->offered == 0) return;
  if (done.result < 0) return refused(*conn, -done.result);
  taken(*conn, static_cast<std::size_t>(done.result));
}

void UringEngine::refused(Conn& conn, int code) {
  switch (code) {
    case EAGAIN:  // The socket is full.
      return taken(conn, 0);
    case ENOBUFS:  // The kernel lacks memory, for the moment,
    case ENOMEM:   // and will not tell when it has some:
    case EINTR:    // a signal;
      taken(conn, 0);
      conn.waiting = false;
      return retries_.push_back(conn.id());  // try again in the next turn.
    default:  // EPIPE, ECONNRESET, ETIMEDOUT, ...: nobody is there any more.
      conn.offered = 0;
      conn.run = {};
      close_conn(conn, CloseReason::kError, code);
  }
}

// No completion: all was taken.
void UringEngine::settle_rest() {
  for (const ConnId id : offered_) {
    Conn* conn = find(id);
    if (conn != nullptr && conn->offered != 0) taken(*conn, conn->offered);
  }
  offered_.clear();
}

void UringEngine::taken(Conn& conn, std::size_t bytes) {
  const bool all = bytes >= conn.offered;
  conn.offered = 0;
  stat_add(stats_.bytes_out, bytes);
  if (conn.output) {
    conn.output->consume(bytes);
  } else if (!all) {
    output_of(conn).append(arena_.view(conn.run).subspan(bytes));
  }
  conn.run = {};
  if (!all) {
    await_writable(conn);
  } else if (conn.output && !conn.output->empty()) {
    mark_dirty(conn);  // More than fits into one request.
  } else {
    output_done(conn);
  }
}

void UringEngine::output_done(Conn& conn) {
  if (conn.output) outputs_.give_back(std::move(conn.output));
  if (conn.finishing) mark_dirty(conn);
  if (!conn.blocked) return;
  conn.blocked = false;
  drained_.push_back(conn.id());
}

// A socket tells that it takes more only after it has refused something (SOCK_NOSPACE), so the poll
// stays from then on. It must go on by itself: one that ends at the first event would end at once,
// and again and again, when the peer has ended its half (IO_POLL_UNMASK has EPOLLRDHUP).
void UringEngine::await_writable(Conn& conn) {
  conn.blocked = true;
  conn.waiting = true;
  if (conn.polling) return;
  conn.polling = true;
  uring::await_writable(ring_.next(), conn.id());
}

void UringEngine::writable(const Completion& done) {
  Conn* conn = named(done.tag);
  if (conn == nullptr) return;
  if (!done.more()) conn->polling = false;
  if (!conn->open || !conn->blocked) return;
  // ENOMEM: no way to wait.
  if (done.result < 0) return close_conn(*conn, CloseReason::kError, -done.result);
  if ((done.result & (POLLOUT | POLLERR | POLLHUP)) != 0) {
    conn->waiting = false;
    mark_dirty(*conn);  // Errors are what the send will say.
  } else if (!conn->polling) {
    await_writable(*conn);
  }
}

// What is known of it.

std::size_t UringEngine::queued_bytes(ConnId id) const {
  const Conn* conn = find(id);
  if (conn == nullptr) return 0;
  const std::size_t written = room_.conn == id ? written_to_room() : 0;
  return conn->run.bytes + written + (conn->output ? conn->output->bytes() : 0);
}

bool UringEngine::blocked(ConnId id) const {
  const Conn* conn = find(id);
  return conn != nullptr && conn->blocked;
}

std::size_t UringEngine::unacknowledged_bytes(ConnId id) {
  if (find(id) == nullptr) return 0;
  uring::unsent(ring_.next(), id);
  // EINVAL: not a TCP socket any more.
  const int in_kernel = std::max(answer_now(uring::tag(Kind::kUnsent, id)), 0);
  return queued_bytes(id) + static_cast<std::size_t>(in_kernel);
}

}  // namespace epulse::server
