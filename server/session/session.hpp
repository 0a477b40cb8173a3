#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "server/access/address_limits.hpp"
#include "server/access/gate.hpp"
#include "server/conn/connection.hpp"
#include "server/engine/engine.hpp"
#include "server/session/hub.hpp"
#include "server/session/slab.hpp"
#include "server/session/stats_pages.hpp"
#include "server/session/timer_wheel.hpp"
#include "server/ws/compression.hpp"

namespace epulse::server {

struct SessionOptions {
  std::uint32_t max_message_bytes = 16 * 1024 * 1024;  // at most ws::kMaxMessageBytes
  std::size_t max_connections = 0;                     // of the whole process
  std::size_t backlog_cap_bytes = std::size_t{1024} * 1024;
  std::uint64_t handshake_timeout_ns = 10'000'000'000;
  std::uint64_t close_timeout_ns = 2'000'000'000;  // for a closing peer that takes and says nothing
  std::uint64_t idle_timeout_ns = 300'000'000'000;
  std::uint64_t max_lifetime_ns = 0;  // of a connection; 0: no limit
  std::uint64_t drain_timeout_ns = 2'000'000'000;
  std::uint64_t handler_delay_ns = 0;  // burnt per message, for demonstrations
  ws::CompressionOptions compression{};
  std::vector<std::string> subprotocols{};  // tokens of at most ws::kMaxProtocolChars
  GateOptions gate{};
  AddressLimitOptions address_limits{};
};

// What the workers of one process share.
struct SharedState {
  SharedState(const SessionOptions& session_options, std::size_t workers)
      : address_limits(session_options.address_limits),
        options(session_options),
        pages(workers),
        hub(workers) {}

  AddressLimits address_limits;  // first, for the sake of its alignment
  const SessionOptions options;
  StatsPages pages;
  Hub hub;
  std::atomic<std::size_t> connections{0};
  std::atomic<bool> draining{false};
};

// The clients of one worker: echo, or publish and subscribe under /topic/NAME.
class Session final : public Handler, public Application {
 public:
  Session(SharedState& shared, std::size_t worker);

  // The engine that calls us; before it runs.
  void attach(Engine& engine) { engine_ = &engine; }

  void on_accept(ConnId id) override;
  void on_data(ConnId id, std::span<std::uint8_t> input) override;
  void on_drained(ConnId id) override;
  void on_closed(ConnId id, CloseReason reason) override;
  void on_wake() override;
  void on_tick() override;

  Answer on_request(Connection& conn, const ws::Request& request, int status) override;
  void on_message(Connection& conn, ws::Opcode opcode, std::span<std::uint8_t> payload) override;
  void on_violation(Connection& conn) override;

 private:
  struct Subscription {
    std::shared_ptr<Topic> topic;
    std::uint32_t index;  // of the client in topic->members()
  };
  struct Closing {
    std::uint64_t since_ns;
    std::uint64_t moved_ns;  // when it was last seen to take output
    std::size_t unsent;      // bytes it had not acknowledged then
  };
  // An idle connection costs one of these; what only some need is apart.
  struct Client {
    Client(ConnId id, std::uint32_t max_message_bytes) : connection(id, max_message_bytes) {}

    Connection connection;
    std::unique_ptr<Subscription> subscription;
    std::unique_ptr<Closing> closing;
    std::uint64_t accepted_ns = 0;
    std::uint64_t heard_ns = 0;
    std::uint64_t due_ns = 0;   // when the wheel calls next
    std::uint16_t refusal = 0;  // came above a limit: the status that says so
    bool limited = false;       // counted in shared_.address_limits
    bool counted = false;       // in the gauge of open connections
    bool pinged = false;        // since it was last heard
    bool throttled = false;     // in throttled_
  };
  static_assert(sizeof(Client) <= 176, "most of what an idle connection costs");

  Client* find(ConnId id);
  bool within_address_limits(Client& client);
  Answer route(Client& client, const ws::Request& request, std::string_view path);
  void count_handshake(const Client& client);
  bool subscribe(Client& client, std::string_view name);
  void unsubscribe(Client& client);

  void publish(Client& client, ws::Opcode opcode, std::span<const std::uint8_t> payload);
  void hand_over(const PublicationPtr& publication);
  void deliver(const PublicationPtr& publication);
  SharedBytes frame_for(Client& client, const PublicationPtr& publication);
  void drop_if_slow(Client& client);
  void throttle(Client& client);
  void retry_waiting();
  bool offer_waiting();

  void begin_drain();
  void enter_phase(Client& client);
  std::uint64_t handshake_end(const Client& client) const;
  std::uint64_t lifetime_end(const Client& client) const;
  void schedule(Client& client, std::uint64_t due_ns);
  void on_due(std::uint32_t slot);
  std::uint64_t check_time(Client& client);
  std::uint64_t check_open(Client& client);
  bool close_is_stuck(Client& client);
  void stop_if_drained();

  SharedState& shared_;
  std::size_t worker_;
  epulse_stats_worker& stats_;
  std::optional<ws::Compression> compression_;  // before clients_, who use it to their end
  Engine* engine_ = nullptr;
  Slab<Client> clients_;         // by slot
  Client* receiving_ = nullptr;  // whose input is being handled: its messages come meanwhile
  std::vector<PeerKey> peers_;   // by slot, with limits per address only
  std::size_t live_ = 0;
  std::vector<std::deque<PublicationPtr>> waiting_;  // by worker: its mailbox was full
  std::vector<ConnId> throttled_;                    // publishers not read until waiting_ is empty
  std::uint64_t drain_deadline_ns_ = 0;              // 0: not draining
  TimerWheel wheel_;
};

}  // namespace epulse::server
