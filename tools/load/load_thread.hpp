#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "tools/load/broadcast.hpp"
#include "tools/load/client.hpp"
#include "tools/load/schedule.hpp"

namespace epulse::load {

// How the threads of a run and main agree on its course.
struct Course {
  std::atomic<std::uint32_t> opened{0};    // threads whose connections are up, or have failed
  std::atomic<std::uint32_t> answered{0};  // threads that wait for no answers any more
  std::atomic<std::uint32_t> finished{0};  // threads that are done
  std::atomic<std::uint64_t> start_ns{0};  // set by main once all are up; 0: not yet
  std::atomic<bool> stop{false};           // Ctrl-C
  std::atomic<bool> reported{false};       // main has counted the connections: they may be closed
};

// A share of the connections and the loop that serves them.
class LoadThread {
 public:
  // Takes the connections whose number modulo --threads is `index`. `broadcast`: none in other
  // modes.
  LoadThread(std::uint32_t index, const Options& options, const Target& target, SSL_CTX* tls,
             Course& course, Broadcast* broadcast);
  LoadThread(const LoadThread&) = delete;
  LoadThread& operator=(const LoadThread&) = delete;
  ~LoadThread();

  void run();

  const Counters& counters() const { return counters_; }
  Counters& counters() { return counters_; }
  // Why the first connection that could not be opened could not; once `opened` counts this thread.
  const std::string& first_failure() const { return context_.first_failure; }

 private:
  void open_all();
  std::size_t count_opening() const;
  void wait_start();
  void send_open_loop();
  void give_up_schedule();
  void send_closed_loop();
  void send_broadcast();
  std::uint64_t window_poll_ns() const;
  void collect_answers();
  void close_all();
  std::uint64_t send_due(std::uint64_t now);
  bool anyone_open() const;
  std::size_t in_flight() const;
  bool all_threads(const std::atomic<std::uint32_t>& stage) const;
  void poll(std::uint64_t timeout_ns);
  bool stopped() const { return course_.stop.load(std::memory_order_relaxed); }

  const Options& options_;
  Course& course_;
  Schedule schedule_;
  Counters counters_;
  ClientContext context_;
  std::vector<std::unique_ptr<Client>> clients_;
  std::vector<Client*> senders_;  // of these
  std::uint64_t start_ns_ = 0;
  std::uint64_t end_ns_ = 0;
  std::uint64_t next_message_ = 0;  // open loop: of this thread
  bool coarse_timeouts_ = false;    // no epoll_pwait2 here
};

}  // namespace epulse::load
