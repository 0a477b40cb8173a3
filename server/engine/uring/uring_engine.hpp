#pragma once

#include <sys/socket.h>
#include <sys/uio.h>

#include <memory>
#include <vector>

#include "server/contract/stats_page.h"
#include "server/engine/accept_errors.hpp"
#include "server/engine/output_queue.hpp"
#include "server/engine/socket_engine.hpp"
#include "server/engine/uring/receive_buffers.hpp"
#include "server/engine/uring/ring.hpp"
#include "server/engine/uring/send_arena.hpp"
#include "server/engine/uring/zero_copy_sends.hpp"

namespace epulse::server {

struct UringOptions {
  int listen_fd = -1;  // not owned; -1: nobody is accepted
  int wake_fd = -1;    // an eventfd, not owned; -1: nobody wakes
  uring::RingOptions ring{};
  uring::BufferOptions buffers{};
  uring::ZeroCopyOptions zero_copy{};
};

// io_uring, one call per turn of the loop. Each connection has a receive that goes on by itself;
// what a turn has to send is submitted after it, and of that only what fails completes. An idle
// connection owns no buffer. A connection is a file in the ring's own table (a direct descriptor)
// and so takes none of the process's descriptors.
//
// A turn: attend to the connections that have something to send, or are to be read or no more |
// submit and wait | settle the sends | dispatch the completions | close.
// Handlers run while they are dispatched and closed, so no send is under way then, nor between two
// turns.
class UringEngine final : public SocketEngine {
 public:
  // Throws Error. `stats` is written by the thread that runs the engine, and nobody else. The
  // thread that makes it is the one that runs it.
  UringEngine(const UringOptions& options, Handler& handler, epulse_stats_worker& stats);
  ~UringEngine() override;

  void run() override;
  void turn(std::uint64_t timeout_ns) override;
  void stop() override { running_ = false; }
  void stop_accepting() override;
  std::uint64_t now_ns() const override { return now_ns_; }

  ConnId adopt(UniqueFd socket) override;
  void send(ConnId id, std::span<const Part> parts) override;
  void send_shared(ConnId id, SharedBytes bytes) override;
  std::size_t queued_bytes(ConnId id) const override;
  bool blocked(ConnId id) const override;
  std::size_t unacknowledged_bytes(ConnId id) override;
  Address peer_address(ConnId id) override;
  Address own_address(ConnId id) override;
  void deliver(ConnId id, std::span<std::uint8_t> input) override;
  void pause_reading(ConnId id) override;
  void resume_reading(ConnId id) override;
  void finish(ConnId id) override;
  void abort(ConnId id) override;
  void close(ConnId id) override;

 private:
  struct Conn {
    // What waits for the socket or is shared; else what is to be sent is in arena_.
    std::unique_ptr<OutputQueue> output;
    std::unique_ptr<Bytes> held;  // input that came while paused
    uring::SendArena::Run run;
    std::uint32_t slot = 0;
    std::uint32_t generation = 0;
    std::uint32_t offered = 0;  // bytes of the send that is not settled
    std::uint16_t lent = 0;     // zero-copy sends whose memory the kernel still has
    bool open : 1 = false;
    bool connecting : 1 = false;  // the poll for its end is under way; blocked, and waiting
    bool dirty : 1 = false;       // in dirty_
    bool paused : 1 = false;      // not to be read
    bool receiving : 1 = false;   // the receive is under way,
    bool cancelling : 1 = false;  // but not for long
    bool ended : 1 = false;       // the peer's FIN was received
    bool blocked : 1 = false;     // the socket did not take all,
    bool waiting : 1 = false;     // and has not told that it takes more
    bool polling : 1 = false;     // it will tell
    bool finishing : 1 = false;   // FIN is to follow the output
    bool installing : 1 = false;  // a descriptor to send FIN with
    bool fin_sent : 1 = false;
    bool closing : 1 = false;  // once its output was offered
    bool copying : 1 = false;  // zero-copy sends are refused, or were copied after all

    ConnId id() const { return {slot, generation}; }
  };
  static_assert(sizeof(Conn) <= 48, "all that an idle connection costs here");

  enum class Accepting : std::uint8_t { kNot, kOne, kMany, kKnock };

  Conn* find(ConnId id);
  const Conn* find(ConnId id) const;
  Conn* named(std::uint64_t tag);

  // The loop.
  bool nothing_to_do() const;
  void collect();
  std::size_t dispatch(std::size_t index);
  void woken(const uring::Completion& done);
  void ticked(const uring::Completion& done);
  void call_drained();
  void wait(std::uint64_t timeout_ns);
  void let_go_of_closed();
  void attend_all();
  void attend(Conn& conn);
  void mark_dirty(Conn& conn);
  void count_turn(std::size_t events);
  int answer_now(std::uint64_t tag);
  UniqueFd descriptor_of(ConnId id);

  // Accepting.
  void accepted(const uring::Completion& done);
  void knocked(const uring::Completion& done);
  Conn& take(std::uint32_t slot);
  void connected(const uring::Completion& done);
  void update_accepting();
  void cancel_accepting();
  void look_for_forgotten();

  // Receiving.
  std::size_t received(std::size_t index);
  void take_input(std::uint64_t tag, std::span<std::uint8_t> input);
  void receive_ended(Conn& conn, int result);
  void stream_ended(Conn& conn);
  void deliver_held();
  void update_receiving(Conn& conn);

  // Sending.
  std::uint8_t* open_room(ConnId id, std::size_t bytes) override;
  std::size_t written_to_room() const;
  void shut_room();
  void send_the_rest();
  void offer(Conn& conn);
  bool offer_run(Conn& conn);
  bool offer_output(Conn& conn);
  const msghdr& message_of(std::span<iovec> parts);
  bool may_be_quiet(const Conn& conn) const;
  void settle(const uring::Completion& done);
  void settle_rest();
  void taken(Conn& conn, std::size_t bytes);
  void refused(Conn& conn, int code);
  void await_writable(Conn& conn);
  void output_done(Conn& conn);
  void spill(Conn& conn);
  OutputQueue& output_of(Conn& conn);
  void writable(const uring::Completion& done);

  // Sending without a copy.
  bool is_zero_copy(const Conn& conn, std::size_t bytes) const;
  void offer_zero_copy(Conn& conn, std::span<iovec> parts);
  void zero_copied(const uring::Completion& done);
  void settle_zero_copy(ConnId id, int result);
  void zero_copy_refused(ConnId id, int code);
  void take_back(std::uint32_t number);
  void copied_after_all(const uring::ZeroCopySends::Send& send);

  // Ending.
  void shut_down(const uring::Completion& done);
  void close_conn(Conn& conn, CloseReason reason, int code = 0);
  void release_closed();
  void let_go(Conn& conn, CloseReason reason);

  UringOptions options_;
  Handler& handler_;
  epulse_stats_worker& stats_;
  uring::Ring ring_;
  uring::ReceiveBuffers buffers_;
  uring::SendArena arena_;
  std::vector<Conn> conns_;  // by slot, which the kernel chooses
  std::size_t in_use_ = 0;   // slots
  std::vector<uring::Completion> batch_;
  std::vector<ConnId> dirty_;    // to be attended to
  std::vector<ConnId> retries_;  // likewise, in the next turn: the kernel lacked memory
  std::vector<ConnId> offered_;  // with a send that is not settled
  std::vector<ConnId> drained_;  // to be told
  std::vector<ConnId> resumed_;  // with input from while they were paused
  std::vector<Closed> closed_;   // to be released at the end of the turn
  std::vector<iovec> parts_;     // of this turn's submissions
  std::size_t parts_used_ = 0;
  std::vector<msghdr> messages_;
  std::size_t messages_used_ = 0;
  OutputPool outputs_;
  uring::ZeroCopySends zero_copies_;
  std::uint64_t overflows_seen_ = 0;
  std::uint64_t now_ns_ = 0;
  AcceptPause accept_pause_;
  Accepting accept_state_ = Accepting::kNot;
  bool accept_cancelled_ = false;
  bool zero_copy_refusal_told_ = false;
  bool accepting_ = true;
  bool running_ = true;
};

}  // namespace epulse::server
