// Receiving: one request per connection goes on by itself until it fails, or is cancelled because
// the connection is not to be read.
#include <cerrno>
#include <utility>

#include "server/contract/stats_writer.hpp"
#include "server/engine/uring/requests.hpp"
#include "server/engine/uring/uring_engine.hpp"

namespace epulse::server {

using uring::Completion;
using uring::Kind;

// Successive completions of one connection that lie side by side are one input: a frame is not cut
// where a buffer ends. How many they were.
std::size_t UringEngine::received(std::size_t index) {
  const std::uint64_t tag = batch_[index].tag;
  Completion done = batch_[index];
  std::size_t count = 1;
  std::span<std::uint8_t> input;
  if (done.has_buffer()) input = buffers_.take(done);
  while (done.more() && index + count < batch_.size()) {
    const Completion& next = batch_[index + count];
    if (next.tag != tag || !next.has_buffer() || !buffers_.follows(input, next)) break;
    done = next;
    input = {input.data(), input.size() + buffers_.take(done).size()};
    ++count;
  }
  if (!input.empty()) take_input(tag, input);
  if (!done.more()) {
    if (Conn* conn = named(tag)) receive_ended(*conn, done.result);
  }
  return count;
}

void UringEngine::take_input(std::uint64_t tag, std::span<std::uint8_t> input) {
  Conn* conn = find(uring::conn_of(tag));
  if (conn == nullptr || conn->closing) return;
  stat_add(stats_.bytes_in, input.size());
  if (!conn->paused && !conn->held) return handler_.on_data(conn->id(), input);
  // The buffer goes back to the kernel.
  if (!conn->held) conn->held = std::make_unique<Bytes>();
  conn->held->insert(conn->held->end(), input.begin(), input.end());
}

void UringEngine::receive_ended(Conn& conn, int result) {
  conn.receiving = false;
  conn.cancelling = false;
  if (!conn.open) return;
  switch (result > 0 ? 0 : -result) {
    case 0:
      if (result == 0) return stream_ended(conn);
      break;         // The queue of completions was full.
    case ENOBUFS:    // All buffers were in use; they are given back at the end of the turn.
    case ECANCELED:  // pause_reading(), perhaps resumed since.
    case EINTR:      // A signal.
    case EAGAIN:     // Nothing there, after all.
    case ENOMEM:     // No memory for the moment.
      break;
    default:  // ECONNRESET, ETIMEDOUT, EPIPE, EHOSTUNREACH, ...: nobody is there any more.
      return close_conn(conn, CloseReason::kError, -result);
  }
  mark_dirty(conn);
}

void UringEngine::stream_ended(Conn& conn) {
  conn.ended = true;
  if (conn.paused || conn.held) return;  // To be told when it is read again.
  // It says no more but still listens, and what it was promised has not left.
  if (conn.finishing && !conn.fin_sent) return;
  close_conn(conn, conn.fin_sent ? CloseReason::kFinished : CloseReason::kPeer);
}

void UringEngine::deliver(ConnId id, std::span<std::uint8_t> input) {
  if (find(id) != nullptr) handler_.on_data(id, input);
}

void UringEngine::pause_reading(ConnId id) {
  Conn* conn = find(id);
  if (conn == nullptr || conn->paused) return;
  conn->paused = true;
  mark_dirty(*conn);
}

void UringEngine::resume_reading(ConnId id) {
  Conn* conn = find(id);
  if (conn == nullptr || !conn->paused) return;
  conn->paused = false;
  mark_dirty(*conn);
  if (conn->held || conn->ended) resumed_.push_back(id);
}

void UringEngine::deliver_held() {
  for (const ConnId id : std::exchange(resumed_, {})) {
    Conn* conn = find(id);
    if (conn == nullptr || conn->paused || conn->closing) continue;
    if (const std::unique_ptr<Bytes> held = std::move(conn->held)) handler_.on_data(id, *held);
    conn = find(id);
    if (conn != nullptr && conn->ended) stream_ended(*conn);
  }
}

void UringEngine::update_receiving(Conn& conn) {
  if (conn.receiving) {
    if (!conn.paused || conn.cancelling) return;
    conn.cancelling = true;
    uring::cancel(ring_.next(), uring::tag(Kind::kReceive, conn.id()));
  } else if (conn.open && !conn.connecting && !conn.paused && !conn.ended) {
    conn.receiving = true;
    uring::receive(ring_.next(), conn.id(), uring::ReceiveBuffers::kGroup);
  }
}

}  // namespace epulse::server
