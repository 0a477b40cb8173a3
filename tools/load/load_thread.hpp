#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "server/contract/stats_page.h"
#include "server/engine/socket_engine.hpp"
#include "tools/load/broadcast.hpp"
#include "tools/load/client.hpp"
#include "tools/load/client_events.hpp"
#include "tools/load/course.hpp"
#include "tools/load/recording.hpp"
#include "tools/load/schedule.hpp"

namespace epulse::load {

// A share of the connections and the loop that serves them.
class LoadThread {
 public:
  // Takes the connections whose number modulo all threads is `index`. `counters`: one for each step
  // of the rate. `broadcast`: none in other modes.
  LoadThread(std::uint32_t index, const Options& options, const Target& target, SSL_CTX* tls,
             Course& course, std::span<Counters> counters, Broadcast* broadcast);
  LoadThread(const LoadThread&) = delete;
  LoadThread& operator=(const LoadThread&) = delete;

  void run();

  // What it has recorded, once it has run; nothing unless that was asked for.
  Recording* recording() { return recording_ ? &*recording_ : nullptr; }

 private:
  void take_engine();
  void open_all();
  std::size_t count_opening() const;
  void wait_start();
  void send();
  void send_open_loop();
  void give_up_schedule();
  void send_closed_loop();
  void send_broadcast();
  void hold();
  std::uint64_t window_poll_ns() const;
  void collect_answers();
  void close_all();
  struct Due {
    std::uint64_t ns;
    Client* client;
  };
  std::optional<Due> next_due();
  std::uint64_t send_due(std::uint64_t now);
  bool anyone_open() const;
  std::size_t in_flight() const;
  bool all_threads(const std::atomic<std::uint32_t>& stage) const;
  void poll(std::uint64_t timeout_ns) { engine_->turn(timeout_ns); }
  bool stopped() const { return course_.stop.load(std::memory_order_relaxed); }

  const Options& options_;
  Course& course_;
  Schedule schedule_;
  Counters& counters_;  // of no step
  int sends_per_turn_;  // open loop
  std::optional<Recording> recording_;
  std::optional<TlsSessions> sessions_;
  ClientContext context_;
  ClientEvents events_{context_};
  epulse_stats_worker stats_{};                   // which an engine keeps
  std::unique_ptr<server::SocketEngine> engine_;  // while it runs
  std::vector<std::unique_ptr<Client>> clients_;
  std::vector<Client*> senders_;  // of these
  std::uint64_t start_ns_ = 0;
  std::uint64_t end_ns_ = 0;
  std::size_t step_ = 0;            // open loop
  std::uint64_t next_message_ = 0;  // of this thread, in that step
};

}  // namespace epulse::load
