#pragma once

#include <sys/epoll.h>
#include <sys/uio.h>

#include <array>
#include <deque>
#include <memory>
#include <vector>

#include "common/unique_fd.hpp"
#include "server/contract/stats_page.h"
#include "server/engine/accept_errors.hpp"
#include "server/engine/engine_options.hpp"
#include "server/engine/output_queue.hpp"
#include "server/engine/socket_engine.hpp"

namespace epulse::server {

struct EpollOptions {
  int listen_fd = -1;       // not owned; -1: nobody is accepted
  int wake_fd = -1;         // an eventfd, not owned; -1: nobody wakes
  std::size_t batch = 512;  // maxevents of epoll_wait
  EpollMode mode = EpollMode::kLevel;
};

// epoll. A socket is watched from when it is first waited for, and for output only while it takes
// no more. An idle connection owns no buffer: all read into one, and write from one while their
// input is handled; only what the kernel does not take is queued.
class EpollEngine final : public SocketEngine {
 public:
  // Throws Error. `stats` is written by the thread that runs the engine, and nobody else.
  EpollEngine(const EpollOptions& options, Handler& handler, epulse_stats_worker& stats);
  ~EpollEngine() override;

  void run() override;
  void turn(std::uint64_t timeout_ns) override;
  void stop() override { running_ = false; }
  void stop_accepting() override;
  std::uint64_t now_ns() const override { return now_ns_; }
  void set_batch(std::size_t events) override { options_.batch = events; }

  ConnId adopt(UniqueFd socket) override;
  void send(ConnId id, std::span<const Part> parts) override;
  void send_gathered(ConnId id, Part bytes) override;
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
    std::unique_ptr<OutputQueue> output;  // only while there is something to send
    int fd = -1;
    std::uint32_t slot = 0;
    std::uint32_t generation = 0;
    bool open = false;
    bool connecting = false;  // and blocked
    bool watched = false;     // known to epoll,
    bool armed = false;       // which will tell what it is to wait for
    bool paused = false;      // not to be read
    bool blocked = false;     // EPOLLOUT is armed
    bool dirty = false;       // in dirty_
    bool finishing = false;   // FIN is to follow the output
    bool fin_sent = false;
    bool fin_seen = false;  // the peer's, while output was still queued

    ConnId id() const { return {slot, generation}; }
  };

  Conn* find(ConnId id);
  const Conn* find(ConnId id) const;

  // Accepting.
  void accept_batch();
  bool accept_failed(int code);
  void back_off(int code);
  void accepted(int fd);
  Conn& take(int fd);
  void watch_listener(bool on);

  // The loop.
  bool watch(int fd, std::uint64_t tag);
  int wait(std::uint64_t timeout_ns);
  void dispatch(const epoll_event& event);
  void handle_conn(Conn& conn, std::uint32_t events);
  bool receive(Conn& conn);
  void receive_all(Conn& conn, bool ends);
  void hand_over(Conn& conn, std::span<std::uint8_t> input);
  void stream_ended(Conn& conn);
  void tick();
  void attend();
  void count_turn(std::size_t events);

  // Sending.
  std::uint8_t* open_room(ConnId id, std::size_t bytes) override;
  std::size_t corked() const;
  void shut_room();
  void send_now(Conn& conn, std::span<const Part> parts);
  void queue(Conn& conn, std::span<const Part> parts, std::size_t skip);
  void spill_cork(Conn& conn);
  void flush_cork(Conn& conn);
  void flush_output(Conn& conn);
  void output_done(Conn& conn);
  std::size_t write_some(Conn& conn, std::span<iovec> parts);
  OutputQueue& output_of(Conn& conn);
  void mark_dirty(Conn& conn);

  void set_blocked(Conn& conn, bool blocked);
  void arm(Conn& conn);
  void close_conn(Conn& conn, CloseReason reason, int code = 0);
  void release_closed();

  EpollOptions options_;
  Handler& handler_;
  epulse_stats_worker& stats_;
  UniqueFd epoll_;
  UniqueFd timer_;  // of the ticks
  std::vector<epoll_event> events_;
  Bytes input_;
  Bytes cork_;
  std::size_t corked_ = 0;   // bytes in cork_, but for those written since its room was opened
  Conn* current_ = nullptr;  // whose on_data() runs, to whom cork_ belongs
  std::deque<Conn> conns_;   // by slot; a deque keeps them in place
  std::vector<std::uint32_t> free_slots_;
  std::vector<ConnId> dirty_;   // with output that has not been tried
  std::vector<Closed> closed_;  // to be released at the end of the turn
  OutputPool outputs_;
  std::uint64_t now_ns_ = 0;
  AcceptPause accept_pause_;
  bool accepting_ = true;
  bool coarse_timeouts_ = false;  // no epoll_pwait2 here
  bool running_ = true;
};

}  // namespace epulse::server
