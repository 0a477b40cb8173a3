#include "server/engine/uring/uring_engine.hpp"

#include <poll.h>

#include <utility>

#include "common/unique_fd.hpp"
#include "server/contract/stats_writer.hpp"
#include "server/engine/clock.hpp"
#include "server/engine/uring/requests.hpp"

namespace epulse::server {
namespace {

using uring::Completion;
using uring::Kind;

constexpr std::size_t kArenaBytes = std::size_t{1024} * 1024;
constexpr std::size_t kPartsPerSubmission = 4096;
constexpr std::size_t kMessagesPerSubmission = 1024;
constexpr __kernel_timespec kTick{0, kTickNs};

}  // namespace

UringEngine::UringEngine(const UringOptions& options, Handler& handler, epulse_stats_worker& stats)
    : options_(options),
      handler_(handler),
      stats_(stats),
      ring_(options.ring),
      buffers_(ring_, options.buffers),
      arena_(kArenaBytes),
      parts_(kPartsPerSubmission),
      messages_(kMessagesPerSubmission),
      now_ns_(clock_ns()) {
  batch_.reserve(options.ring.completions);
  uring::tick(ring_.next(), kTick);
  if (options.wake_fd >= 0) {
    uring::poll(ring_.next(), Kind::kWake, options_.wake_fd, POLLIN, true);
  }
}

UringEngine::Conn* UringEngine::find(ConnId id) {
  return const_cast<Conn*>(std::as_const(*this).find(id));
}

const UringEngine::Conn* UringEngine::find(ConnId id) const {
  if (id.slot >= conns_.size()) return nullptr;
  const Conn& conn = conns_[id.slot];
  return conn.open && conn.generation == id.generation ? &conn : nullptr;
}

// The connection of a completion, perhaps closed in this turn.
UringEngine::Conn* UringEngine::named(std::uint64_t tag) {
  const ConnId id = uring::conn_of(tag);
  if (id.slot >= conns_.size()) return nullptr;
  Conn& conn = conns_[id.slot];
  return conn.generation == id.generation ? &conn : nullptr;
}

// The loop.

void UringEngine::run() {
  now_ns_ = clock_ns();
  for (running_ = true; running_;) turn(kForever);
  attend_all();
  ring_.submit();  // What the last turn has said still leaves.
  collect();
  send_the_rest();
}

void UringEngine::turn(std::uint64_t timeout_ns) {
  attend_all();
  stat_add(stats_.handler_ns, clock_ns() - now_ns_);
  wait(timeout_ns);
  now_ns_ = clock_ns();
  collect();
  send_the_rest();
  call_drained();
  std::size_t done = 0;
  while (done < batch_.size()) done += dispatch(done);
  batch_.clear();
  let_go_of_closed();
  count_turn(done);
}

void UringEngine::wait(std::uint64_t timeout_ns) {
  if (timeout_ns == 0 || !nothing_to_do()) return ring_.submit_and_wait(0);
  if (timeout_ns == kForever) return ring_.submit_and_wait(1);
  ring_.submit_and_wait(1, timeout_ns);
}

bool UringEngine::nothing_to_do() const {
  return batch_.empty() && drained_.empty() && closed_.empty() && resumed_.empty();
}

// Settles the sends, whose memory is used again from here on; keeps the other completions.
void UringEngine::collect() {
  ring_.collect([this](const Completion& done) {
    if (uring::kind_of(done.tag) == Kind::kSend) {
      settle(done);
    } else if (uring::kind_of(done.tag) == Kind::kZeroCopy) {
      zero_copied(done);
    } else {
      batch_.push_back(done);
    }
  });
  settle_rest();
  arena_.clear();
}

// How many completions were handled.
std::size_t UringEngine::dispatch(std::size_t index) {
  const Completion done = batch_[index];
  switch (uring::kind_of(done.tag)) {
    case Kind::kReceive:
      return received(index);
    case Kind::kAccept:
      accepted(done);
      break;
    case Kind::kConnected:
      connected(done);
      break;
    case Kind::kKnock:
      knocked(done);
      break;
    case Kind::kWake:
      woken(done);
      break;
    case Kind::kTick:
      ticked(done);
      break;
    case Kind::kWritable:
      writable(done);
      break;
    case Kind::kShutDown:
      batch_[index].tag = uring::tag(Kind::kQuiet);  // The descriptor is taken.
      shut_down(done);
      break;
    case Kind::kZeroCopy:  // A notification that came with an answer.
      zero_copied(done);
      break;
    case Kind::kAddress: {  // answer_now() takes it; one that comes later is nobody's.
      batch_[index].tag = uring::tag(Kind::kQuiet);
      const UniqueFd late(done.result);
      break;
    }
    case Kind::kQuiet:   // What was to be ended had ended by itself.
    case Kind::kSend:    // collect() has settled it.
    case Kind::kUnsent:  // answer_now() has taken it,
    case Kind::kPlaced:  // likewise.
      break;
  }
  return 1;
}

// The result of a request that the kernel does while it is submitted. Other completions keep for
// the dispatch.
int UringEngine::answer_now(std::uint64_t tag) {
  int answer = -ECANCELED;
  ring_.submit();
  ring_.collect([&](const Completion& done) {
    if (done.tag == tag) {
      answer = done.result;
    } else {
      batch_.push_back(done);
    }
  });
  return answer;
}

UniqueFd UringEngine::descriptor_of(ConnId id) {
  if (find(id) == nullptr) return {};
  uring::install(ring_.next(), Kind::kAddress, id);
  return UniqueFd(answer_now(uring::tag(Kind::kAddress, id)));
}

Address UringEngine::peer_address(ConnId id) {
  const UniqueFd fd = descriptor_of(id);
  return fd ? remote_address(fd.get()) : Address{};
}

Address UringEngine::own_address(ConnId id) {
  const UniqueFd fd = descriptor_of(id);
  return fd ? local_address(fd.get()) : Address{};
}

// The counter of the eventfd is never read: each write to it wakes anew, whatever its value.
void UringEngine::woken(const Completion& done) {
  if (!done.more()) uring::poll(ring_.next(), Kind::kWake, options_.wake_fd, POLLIN, true);
  handler_.on_wake();
}

void UringEngine::ticked(const Completion& done) {
  if (!done.more()) uring::tick(ring_.next(), kTick);
  accept_pause_.end_if_due(now_ns_);
  look_for_forgotten();
  handler_.on_tick();
}

void UringEngine::call_drained() {
  for (const ConnId id : std::exchange(drained_, {})) {
    const Conn* conn = find(id);
    if (conn != nullptr && !conn->closing) handler_.on_drained(id);
  }
}

void UringEngine::let_go_of_closed() {
  while (!closed_.empty() || !resumed_.empty()) {
    deliver_held();
    release_closed();
  }
  buffers_.give_back();
}

// No handler is called from here on until the sends are settled.
void UringEngine::attend_all() {
  shut_room();
  parts_used_ = 0;
  messages_used_ = 0;
  for (const ConnId id : dirty_) {
    if (Conn* conn = find(id)) attend(*conn);
  }
  dirty_.clear();
  update_accepting();
}

void UringEngine::attend(Conn& conn) {
  conn.dirty = false;
  offer(conn);
  if (conn.closing) return close_conn(conn, CloseReason::kFinished);
  update_receiving(conn);
}

void UringEngine::mark_dirty(Conn& conn) {
  if (conn.dirty) return;
  conn.dirty = true;
  dirty_.push_back(conn.id());
}

void UringEngine::count_turn(std::size_t events) {
  stat_add(stats_.loop_turns, 1);
  stat_add(stats_.events, events);
  stat_max(stats_.batch_max, events);
  if (ring_.overflows() != overflows_seen_) stat_add(stats_.saturated, 1);
  overflows_seen_ = ring_.overflows();
}

}  // namespace epulse::server
