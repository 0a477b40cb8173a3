// Sending without a copy: the kernel reads large buffers where they are, and notifies when it has
// done with them. Then they are freed, which is all that a notification is for: the connection goes
// on, or is closed and its place used again, as after any other send. Bytes that the kernel holds
// fill the socket as copies would, so that a slow peer blocks likewise.
#include <spdlog/spdlog.h>

#include <algorithm>
#include <cerrno>
#include <limits>

#include "common/unique_fd.hpp"
#include "server/contract/stats_writer.hpp"
#include "server/engine/uring/abi.hpp"
#include "server/engine/uring/requests.hpp"
#include "server/engine/uring/uring_engine.hpp"
#include "server/error.hpp"

namespace epulse::server {

using uring::Completion;
using uring::Kind;

// The kernel keeps a ring, and with it all files of its table, until it has done with all memory
// that was lent to it: nobody is to learn of our end only when the slowest has read.
UringEngine::~UringEngine() {
  for (const Completion& done : batch_) {  // of the last turn; nobody handles them any more
    const Kind kind = uring::kind_of(done.tag);
    if (kind == Kind::kShutDown || kind == Kind::kAddress) const UniqueFd late(done.result);
  }
  if (zero_copies_.bytes() == 0) return;
  try {
    for (const Conn& conn : conns_) {
      if (conn.open) uring::close(ring_.next(), conn.id());
    }
    for (const Closed& closed : closed_) uring::close(ring_.next(), conns_[closed.slot].id());
    for (const Completion& done : batch_) {
      if (uring::kind_of(done.tag) != Kind::kAccept || done.result < 0) continue;
      uring::close(ring_.next(), {static_cast<std::uint32_t>(done.result), 0});
    }
    ring_.submit();
  } catch (const Error&) {  // The ring has failed before, which is why we end.
    return;
  }
}

bool UringEngine::is_zero_copy(const Conn& conn, std::size_t bytes) const {
  const uring::ZeroCopyOptions& options = options_.zero_copy;
  return options.from_bytes != 0 && bytes >= options.from_bytes && !conn.copying &&
         zero_copies_.bytes() < options.held_max_bytes &&
         conn.lent < std::numeric_limits<decltype(conn.lent)>::max();
}

void UringEngine::offer_zero_copy(Conn& conn, std::span<iovec> parts) {
  const std::uint32_t number = zero_copies_.begin(conn.id(), conn.offered);
  uring::ZeroCopySends::Send& send = zero_copies_[number];
  send.alone = conn.lent++ == 0;
  conn.output->share(parts.size(), send.memory);
  uring::send_zero_copy(ring_.next(), conn.id(), message_of(parts), number);
}

// Completes twice; once where the kernel holds nothing, so that nothing is to be notified of.
void UringEngine::zero_copied(const Completion& done) {
  const std::uint32_t number = uring::zero_copy_of(done.tag);
  const ConnId id = zero_copies_[number].conn;
  if (done.notifies()) {
    if ((static_cast<std::uint32_t>(done.result) & uring::abi::kZeroCopyCopied) != 0) {
      copied_after_all(zero_copies_[number]);
    }
    take_back(number);
  } else {
    zero_copies_.completed(number, static_cast<std::size_t>(std::max(done.result, 0)));
    if (!done.more()) take_back(number);
    if (done.result > 0) stat_add(stats_.zero_copy_sends, 1);
    settle_zero_copy(id, done.result);
  }
  stat_set(stats_.zero_copy_held_bytes, zero_copies_.bytes());
}

void UringEngine::settle_zero_copy(ConnId id, int result) {
  const std::uint64_t tag = uring::tag(Kind::kSend, id);
  switch (-result) {
    case ENOMEM:  // More locked memory than we may have; it is free again in the end.
    case ENOBUFS:
    case EOPNOTSUPP:  // Not for this kind of socket.
      zero_copy_refused(id, -result);
      return settle({tag, -ENOBUFS, 0});  // The next turn tries it with a copy.
    default:
      settle({tag, result, 0});
  }
}

void UringEngine::zero_copy_refused(ConnId id, int code) {
  if (Conn* conn = find(id)) conn->copying = true;
  if (zero_copy_refusal_told_) return;
  zero_copy_refusal_told_ = true;
  spdlog::warn(
      "the kernel refuses a zero-copy send: {}{}; connections that meet this go on with "
      "copies",
      errno_text(code), code == ENOMEM ? "; raise ulimit -l" : "");
}

void UringEngine::take_back(std::uint32_t number) {
  if (Conn* conn = find(zero_copies_[number].conn)) --conn->lent;
  zero_copies_.end(number);
}

// What decides is the way to the peer: over loopback, or a device that cannot gather, the kernel
// copies each time, and to lend it the memory first only costs. Of a send that has joined another's
// segment (io_link_skb(), 6.10) it says so in any case: nobody asks that one.
void UringEngine::copied_after_all(const uring::ZeroCopySends::Send& send) {
  if (send.bytes == 0 || !send.alone) return;
  stat_add(stats_.zero_copy_copied, 1);
  if (options_.zero_copy.although_copied) return;
  if (Conn* conn = find(send.conn)) conn->copying = true;
}

}  // namespace epulse::server
