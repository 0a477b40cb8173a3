#include "server/engine/epoll_engine.hpp"

#include <sys/socket.h>
#include <sys/timerfd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <limits>
#include <utility>

#include "server/contract/stats_writer.hpp"
#include "server/engine/clock.hpp"
#include "server/engine/socket_calls.hpp"
#include "server/error.hpp"

namespace epulse::server {
namespace {

constexpr std::size_t kInputBytes = std::size_t{64} * 1024;
constexpr std::size_t kCorkBytes = std::size_t{64} * 1024;
constexpr int kReadsPerEvent = 16;   // edge-triggered, of kInputBytes each
constexpr int kAcceptsPerTurn = 64;  // so that a storm of connections does not starve the others
constexpr std::uint64_t kNsPerMs = 1'000'000;

// Values of epoll_data that are no connection: no slot is that high.
constexpr std::uint64_t kListenerTag = std::numeric_limits<std::uint64_t>::max();
constexpr std::uint64_t kWakeTag = kListenerTag - 1;
constexpr std::uint64_t kTimerTag = kListenerTag - 2;

std::uint64_t tag(ConnId id) {
  return std::uint64_t{id.generation} << 32U | id.slot;
}

ConnId untag(std::uint64_t value) {
  return {static_cast<std::uint32_t>(value), static_cast<std::uint32_t>(value >> 32U)};
}

// Why a socket could not be connected.
int error_of(int fd) {
  int code = 0;
  socklen_t size = sizeof code;
  getsockopt(fd, SOL_SOCKET, SO_ERROR, &code, &size);
  return code;
}

}  // namespace

EpollEngine::EpollEngine(const EpollOptions& options, Handler& handler, epulse_stats_worker& stats)
    : options_(options),
      handler_(handler),
      stats_(stats),
      epoll_(epoll_create1(EPOLL_CLOEXEC)),
      timer_(timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC)),
      events_(options.batch),
      input_(kInputBytes),
      cork_(kCorkBytes) {
  const itimerspec ticks{{0, kTickNs}, {0, kTickNs}};
  if (!epoll_ || !timer_ || timerfd_settime(timer_.get(), 0, &ticks, nullptr) != 0) {
    fail("cannot create an epoll instance and its timer: {}; raise ulimit -n", errno_text(errno));
  }
  if (!watch(options.wake_fd, kWakeTag) || !watch(timer_.get(), kTimerTag) ||
      !watch(options.listen_fd, kListenerTag)) {
    fail("cannot watch the listening socket and the timer: {}; raise fs.epoll.max_user_watches",
         errno_text(errno));
  }
  now_ns_ = clock_ns();
}

EpollEngine::~EpollEngine() {
  for (const Conn& conn : conns_) {
    if (conn.fd >= 0) ::close(conn.fd);
  }
}

// The loop.

void EpollEngine::run() {
  for (running_ = true; running_;) turn(kForever);
}

void EpollEngine::turn(std::uint64_t timeout_ns) {
  attend();
  const int n = wait(timeout_ns);
  now_ns_ = clock_ns();
  if (n < 0 && errno != EINTR) {  // EBADF, EFAULT, EINVAL: our own mistake, nothing to wait for.
    fail("cannot wait for events: {}", errno_text(errno));
  }
  const auto ready = static_cast<std::size_t>(std::max(n, 0));
  for (const epoll_event& event : std::span(events_).first(ready)) dispatch(event);
  attend();
  count_turn(ready);
  if (options_.batch != events_.size()) events_.resize(options_.batch);
}

int EpollEngine::wait(std::uint64_t timeout_ns) {
  const auto room = static_cast<int>(events_.size());
  // A server waits without a timeout: to arm and disarm one in each wait costs more than a
  // descriptor for ticks.
  if (timeout_ns == kForever) return epoll_wait(epoll_.get(), events_.data(), room, -1);
  if (timeout_ns != 0 && !coarse_timeouts_) {
    const timespec timeout{static_cast<time_t>(timeout_ns / kSecondNs),
                           static_cast<long>(timeout_ns % kSecondNs)};
    const int n = epoll_pwait2(epoll_.get(), events_.data(), room, &timeout, nullptr);
    if (n >= 0 || errno == EINTR) return n;
    coarse_timeouts_ = true;  // before Linux 5.11, or a seccomp policy
  }
  // Rounded down: the rest of the time is spent in calls that do not wait, not in being late.
  return epoll_wait(epoll_.get(), events_.data(), room, static_cast<int>(timeout_ns / kNsPerMs));
}

bool EpollEngine::watch(int fd, std::uint64_t tag) {
  epoll_event event{EPOLLIN, {.u64 = tag}};
  return fd < 0 || epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) == 0;
}

void EpollEngine::dispatch(const epoll_event& event) {
  if (event.data.u64 == kListenerTag) return accept_batch();
  if (event.data.u64 == kWakeTag) {
    std::uint64_t count = 0;
    // EAGAIN only: then nobody needs us.
    if (read(options_.wake_fd, &count, sizeof count) == sizeof count) handler_.on_wake();
    return;
  }
  if (event.data.u64 == kTimerTag) return tick();
  // Closed earlier in this batch, perhaps with its descriptor in use again: not found.
  if (Conn* conn = find(untag(event.data.u64))) handle_conn(*conn, event.events);
}

void EpollEngine::handle_conn(Conn& conn, std::uint32_t events) {
  if (options_.mode == EpollMode::kOneShot) conn.armed = false;
  if (std::exchange(conn.connecting, false) && (events & (EPOLLERR | EPOLLHUP)) != 0) {
    return close_conn(conn, CloseReason::kError, error_of(conn.fd));
  }
  if ((events & EPOLLOUT) != 0) {
    flush_output(conn);
    if (conn.open && !conn.blocked) handler_.on_drained(conn.id());
  }
  if (!conn.open) return;
  if ((events & EPOLLIN) != 0 && !conn.paused) {
    receive_all(conn, (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0);
  } else if ((events & (EPOLLERR | EPOLLHUP)) != 0) {
    // Reported although a paused connection asks for no input; nobody is left to answer to.
    close_conn(conn, CloseReason::kError);
  }
  if (conn.open && !conn.armed) arm(conn);
}

// All that one event tells of. Level-triggered, what is left is told again; edge-triggered it is
// not, so there the socket is read until it has less than there is room for, and to the end of the
// stream when that `ends`; who sends without end is armed again, so that the others get their turn.
void EpollEngine::receive_all(Conn& conn, bool ends) {
  if (options_.mode != EpollMode::kEdge) {
    receive(conn);
    return;
  }
  for (int i = 0; i < kReadsPerEvent; ++i) {
    const bool full = receive(conn);
    if (!conn.open || conn.paused || !(full || ends)) return;
  }
  conn.armed = false;
}

// Whether there may be more.
bool EpollEngine::receive(Conn& conn) {
  const ssize_t n = receive_bytes(conn.fd, input_.data(), input_.size());
  if (n < 0) {
    if (errno != EAGAIN && errno != EINTR) close_conn(conn, CloseReason::kError, errno);
    return false;
  }
  if (n == 0) {
    stream_ended(conn);
    return false;
  }
  const auto bytes = static_cast<std::size_t>(n);
  stat_add(stats_.bytes_in, bytes);
  hand_over(conn, std::span(input_).first(bytes));
  return bytes == input_.size();
}

void EpollEngine::hand_over(Conn& conn, std::span<std::uint8_t> input) {
  current_ = &conn;
  handler_.on_data(conn.id(), input);
  flush_cork(conn);
  current_ = nullptr;
}

void EpollEngine::deliver(ConnId id, std::span<std::uint8_t> input) {
  if (Conn* conn = find(id)) hand_over(*conn, input);
}

void EpollEngine::stream_ended(Conn& conn) {
  if (conn.finishing && conn.output) {
    // It says no more but still listens, and what it was promised has not left.
    conn.fin_seen = true;
    conn.paused = true;  // The end of the stream would be reported in every turn.
    return arm(conn);
  }
  close_conn(conn, conn.fin_sent ? CloseReason::kFinished : CloseReason::kPeer);
}

void EpollEngine::tick() {
  std::uint64_t ticks = 0;
  if (read(timer_.get(), &ticks, sizeof ticks) != sizeof ticks) return;
  if (accept_pause_.end_if_due(now_ns_) && accepting_) watch_listener(true);
  handler_.on_tick();
}

// Sends what was queued for connections other than the one handled, and lets go of the closed ones.
// on_closed() may cause more of both.
void EpollEngine::attend() {
  while (!dirty_.empty() || !closed_.empty()) {
    for (std::size_t i = 0; i < dirty_.size(); ++i) {
      Conn* conn = find(dirty_[i]);
      if (conn == nullptr) continue;
      conn->dirty = false;
      if (!conn->blocked) flush_output(*conn);
    }
    dirty_.clear();
    release_closed();
  }
}

void EpollEngine::count_turn(std::size_t events) {
  stat_add(stats_.loop_turns, 1);
  stat_add(stats_.events, events);
  stat_max(stats_.batch_max, events);
  if (events == events_.size()) stat_add(stats_.saturated, 1);
  stat_add(stats_.handler_ns, clock_ns() - now_ns_);
}

// Accepting.

void EpollEngine::accept_batch() {
  for (int i = 0; i < kAcceptsPerTurn && !accept_pause_.active(); ++i) {
    const int fd = accept4(options_.listen_fd, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0) {
      accepted(fd);
    } else if (!accept_failed(errno)) {
      return;
    }
  }
}

// Whether to go on with the next one.
bool EpollEngine::accept_failed(int code) {
  const AcceptVerdict verdict = judge_accept_error(code);
  if (verdict == AcceptVerdict::kBackOff) back_off(code);
  return verdict == AcceptVerdict::kNext;
}

void EpollEngine::back_off(int code) {
  accept_pause_.begin(code, now_ns_);
  watch_listener(false);
}

void EpollEngine::accepted(int fd) {
  Conn& conn = take(fd);
  handler_.on_accept(conn.id());
  // Its request may have come with it.
  if (conn.open && !conn.paused) receive(conn);
  if (conn.open && !conn.armed) arm(conn);
}

EpollEngine::Conn& EpollEngine::take(int fd) {
  if (free_slots_.empty()) {
    free_slots_.push_back(static_cast<std::uint32_t>(conns_.size()));
    conns_.emplace_back().slot = free_slots_.back();
  }
  Conn& conn = conns_[free_slots_.back()];
  free_slots_.pop_back();
  conn.fd = fd;
  conn.open = true;
  return conn;
}

// It is connected as soon as it takes output.
ConnId EpollEngine::adopt(UniqueFd socket) {
  Conn& conn = take(socket.release());
  conn.connecting = true;
  set_blocked(conn, true);
  return conn.id();
}

void EpollEngine::watch_listener(bool on) {
  epoll_event event{0, {.u64 = kListenerTag}};
  if (on) event.events = EPOLLIN;
  epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, options_.listen_fd, &event);
}

void EpollEngine::stop_accepting() {
  if (!accepting_) return;
  accepting_ = false;
  watch_listener(false);
}

// State of a connection.

EpollEngine::Conn* EpollEngine::find(ConnId id) {
  return const_cast<Conn*>(std::as_const(*this).find(id));
}

const EpollEngine::Conn* EpollEngine::find(ConnId id) const {
  if (id.slot >= conns_.size()) return nullptr;
  const Conn& conn = conns_[id.slot];
  return conn.open && conn.generation == id.generation ? &conn : nullptr;
}

Address EpollEngine::peer_address(ConnId id) {
  const Conn* conn = find(id);
  return conn == nullptr ? Address{} : remote_address(conn->fd);
}

Address EpollEngine::own_address(ConnId id) {
  const Conn* conn = find(id);
  return conn == nullptr ? Address{} : local_address(conn->fd);
}

void EpollEngine::set_blocked(Conn& conn, bool blocked) {
  if (conn.blocked == blocked) return;
  conn.blocked = blocked;
  arm(conn);
}

// Tells epoll what to wait for; whatever has come until now is reported.
void EpollEngine::arm(Conn& conn) {
  epoll_event event{0, {.u64 = tag(conn.id())}};
  if (!conn.paused) event.events |= EPOLLIN;
  if (conn.blocked) event.events |= EPOLLOUT;
  if (options_.mode == EpollMode::kEdge) event.events |= EPOLLET | EPOLLRDHUP;
  if (options_.mode == EpollMode::kOneShot) event.events |= EPOLLONESHOT;
  const int operation = conn.watched ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;
  if (epoll_ctl(epoll_.get(), operation, conn.fd, &event) != 0) {
    // ENOSPC: fs.epoll.max_user_watches; ENOMEM. Unwatched it would hang for ever.
    const int code = errno;
    if (!conn.watched && options_.listen_fd >= 0) back_off(code);
    return close_conn(conn, CloseReason::kError, code);
  }
  conn.watched = true;
  conn.armed = true;
}

void EpollEngine::pause_reading(ConnId id) {
  Conn* conn = find(id);
  if (conn == nullptr || conn->paused) return;
  conn->paused = true;
  // Edge-triggered, what comes meanwhile is told once, and again when it is armed.
  if (conn->watched && options_.mode != EpollMode::kEdge) arm(*conn);
}

void EpollEngine::resume_reading(ConnId id) {
  Conn* conn = find(id);
  if (conn == nullptr || !conn->paused) return;
  conn->paused = false;
  arm(*conn);
}

void EpollEngine::finish(ConnId id) {
  Conn* conn = find(id);
  if (conn == nullptr || conn->finishing) return;
  if (conn == current_) spill_cork(*conn);
  conn->finishing = true;
  resume_reading(id);  // The peer's FIN has to be seen.
  mark_dirty(*conn);
}

void EpollEngine::abort(ConnId id) {
  Conn* conn = find(id);
  if (conn == nullptr) return;
  const linger reset{1, 0};  // close() then resets and the kernel drops its queue, too.
  setsockopt(conn->fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
  close_conn(*conn, CloseReason::kAborted);
}

void EpollEngine::close(ConnId id) {
  Conn* conn = find(id);
  if (conn == nullptr) return;
  if (conn == current_) flush_cork(*conn);
  if (conn->open && !conn->blocked) flush_output(*conn);
  close_conn(*conn, CloseReason::kFinished);
}

void EpollEngine::close_conn(Conn& conn, CloseReason reason, int code) {
  if (!conn.open) return;
  if (&conn == current_) shut_room();
  conn.open = false;
  closed_.push_back({conn.slot, reason, code});
}

void EpollEngine::release_closed() {
  const std::vector<Closed> closed = std::exchange(closed_, {});
  for (const auto& [slot, reason, code] : closed) {
    Conn& conn = conns_[slot];
    const ConnId id = conn.id();
    ::close(conn.fd);  // epoll forgets it by itself.
    conn = Conn{};
    conn.slot = slot;
    conn.generation = id.generation + 1;
    free_slots_.push_back(slot);
    close_errno_ = code;
    handler_.on_closed(id, reason);
  }
}

}  // namespace epulse::server
