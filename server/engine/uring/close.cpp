// Ending: FIN after the output, or a reset; then the place in the table is free again.
#include <sys/socket.h>

#include <utility>

#include "common/unique_fd.hpp"
#include "server/engine/uring/requests.hpp"
#include "server/engine/uring/uring_engine.hpp"

namespace epulse::server {

using uring::Completion;
using uring::Kind;

void UringEngine::finish(ConnId id) {
  Conn* conn = find(id);
  if (conn == nullptr || conn->finishing) return;
  shut_room();
  conn->finishing = true;
  resume_reading(id);  // The peer's FIN has to be seen.
  mark_dirty(*conn);
}

void UringEngine::abort(ConnId id) {
  if (Conn* conn = find(id)) close_conn(*conn, CloseReason::kAborted);
}

void UringEngine::close(ConnId id) {
  Conn* conn = find(id);
  if (conn == nullptr) return;
  shut_room();
  conn->closing = true;
  mark_dirty(*conn);
}

// IORING_OP_SHUTDOWN always goes through a thread of the kernel's pool (io_shutdown_prep()); a
// descriptor for as long as shutdown(2) takes is cheaper. The sends before it are settled.
void UringEngine::shut_down(const Completion& done) {
  const UniqueFd fd(done.result);
  Conn* conn = named(done.tag);
  if (conn == nullptr) return;
  conn->installing = false;
  if (!conn->open) return;
  // EMFILE, ENFILE, ENOMEM: no descriptor. Closing sends FIN behind what the kernel has; only the
  // peer's is not waited for.
  if (!fd) return close_conn(*conn, CloseReason::kFinished);
  if (conn->output) return;  // Not all was taken after all; output_done() leads here again.
  conn->fin_sent = true;
  ::shutdown(fd.get(), SHUT_WR);  // Fails only when it is gone, which the receive tells.
  if (conn->ended) close_conn(*conn, CloseReason::kFinished);
}

void UringEngine::close_conn(Conn& conn, CloseReason reason, int code) {
  if (!conn.open) return;
  shut_room();
  conn.open = false;
  closed_.push_back({conn.slot, reason, code});
}

void UringEngine::release_closed() {
  const std::vector<Closed> closed = std::exchange(closed_, {});
  for (const auto& [slot, reason, code] : closed) {
    const ConnId id = conns_[slot].id();
    let_go(conns_[slot], reason);
    close_errno_ = code;
    handler_.on_closed(id, reason);
  }
}

// The requests that are under way hold the file until they have ended. What they still complete
// with names a generation that is gone.
void UringEngine::let_go(Conn& conn, CloseReason reason) {
  const ConnId id = conn.id();
  if (conn.output) outputs_.give_back(std::move(conn.output));
  if (reason == CloseReason::kAborted) uring::reset_on_close(ring_.next(), id);
  if (conn.receiving) uring::cancel(ring_.next(), uring::tag(Kind::kReceive, id));
  if (conn.connecting) uring::cancel(ring_.next(), uring::tag(Kind::kConnected, id));
  if (conn.polling) uring::cancel(ring_.next(), uring::tag(Kind::kWritable, id));
  uring::close(ring_.next(), id);
  conn = Conn{};
  conn.slot = id.slot;
  conn.generation = id.generation + 1;
  --in_use_;
}

}  // namespace epulse::server
