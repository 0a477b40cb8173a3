// Accepting: the kernel puts each new connection into a free place of the ring's table of files.
#include <poll.h>

#include <cerrno>

#include "server/engine/listener.hpp"
#include "server/engine/uring/requests.hpp"
#include "server/engine/uring/uring_engine.hpp"

namespace epulse::server {

using uring::Completion;
using uring::Kind;

void UringEngine::accepted(const Completion& done) {
  if (!done.more()) accept_state_ = Accepting::kNot;
  if (done.result >= 0) {
    Conn& conn = take(static_cast<std::uint32_t>(done.result));
    mark_dirty(conn);
    return handler_.on_accept(conn.id());
  }
  if (done.result == -ECANCELED) return;  // That was us.
  if (judge_accept_error(-done.result) == AcceptVerdict::kBackOff) {
    accept_pause_.begin(-done.result, now_ns_);
  }
}

// Somebody waits, and all places were taken when we began to listen for that.
void UringEngine::knocked(const Completion& done) {
  accept_state_ = Accepting::kNot;
  if (done.result == -ECANCELED) return;
  if (in_use_ >= ring_.files()) accept_pause_.begin(EMFILE, now_ns_);
}

UringEngine::Conn& UringEngine::take(std::uint32_t slot) {
  if (slot >= conns_.size()) conns_.resize(slot + 1);
  Conn& conn = conns_[slot];
  conn.slot = slot;
  conn.open = true;
  ++in_use_;
  return conn;
}

// One request that accepts all who come is cheapest, but where the table fills up the kernel would
// close those for whom there is no place (io_fixed_fd_install()). So it serves while all that can
// be waiting fit in; then each is asked for, and when the table is full nobody is, and they wait.
void UringEngine::update_accepting() {
  if (options_.listen_fd < 0) return;
  const std::size_t places = ring_.files() - in_use_;
  const bool many = places > static_cast<std::size_t>(kAcceptQueue);
  const bool stop = !accepting_ || (accept_state_ == Accepting::kMany && !many);
  if (accept_state_ != Accepting::kNot) {
    if (stop) cancel_accepting();
    return;
  }
  accept_cancelled_ = false;
  if (!accepting_ || accept_pause_.active()) return;
  if (places == 0) {
    accept_state_ = Accepting::kKnock;
    uring::poll(ring_.next(), Kind::kKnock, options_.listen_fd, POLLIN, false);
  } else {
    accept_state_ = many ? Accepting::kMany : Accepting::kOne;
    uring::accept(ring_.next(), options_.listen_fd, many);
  }
}

void UringEngine::cancel_accepting() {
  if (accept_cancelled_) return;
  accept_cancelled_ = true;
  uring::cancel(ring_.next(),
                uring::tag(accept_state_ == Accepting::kKnock ? Kind::kKnock : Kind::kAccept));
}

// The kernel wakes one waiter for each connection (EPOLLEXCLUSIVE in io_arm_poll_handler()). Where
// two processes share the listener, as in a hot restart, that may be the one which stops accepting
// at that moment, and who came would wait until the next one comes. A request that is made anew
// looks first.
void UringEngine::look_for_forgotten() {
  pollfd listener{options_.listen_fd, POLLIN, 0};
  if (accept_state_ != Accepting::kNot && ::poll(&listener, 1, 0) > 0) cancel_accepting();
}

void UringEngine::stop_accepting() {
  accepting_ = false;
}

}  // namespace epulse::server
