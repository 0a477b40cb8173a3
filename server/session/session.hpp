#pragma once

#include <atomic>
#include <cstdint>
#include <limits>
#include <memory>
#include <string_view>
#include <vector>

#include "server/access/address_limits.hpp"
#include "server/conn/connection.hpp"
#include "server/contract/stats_writer.hpp"
#include "server/engine/engine.hpp"
#include "server/session/accept_load.hpp"
#include "server/session/hub.hpp"
#include "server/session/outbox.hpp"
#include "server/session/session_options.hpp"
#include "server/session/slab.hpp"
#include "server/session/socket.hpp"
#include "server/session/stats_pages.hpp"
#include "server/session/timer_wheel.hpp"
#include "server/session/tunables.hpp"
#include "server/ws/compression.hpp"

namespace epulse::server {

enum class Stage : std::uint8_t {
  kServing,
  kNoNewcomers,  // those who are there are served
  kDraining,     // those who are there are asked to go
};

// What the workers of one process share.
struct SharedState {
  SharedState(const SessionOptions& session_options, const EngineOptions& engine,
              std::size_t workers)
      : address_limits(session_options.address_limits),
        options(session_options),
        tunables(session_options, engine),
        pages(workers),
        hub(workers) {}

  AddressLimits address_limits;  // first, for the sake of its alignment
  const SessionOptions options;
  Tunables tunables;  // which hold instead of options, where they have the same name
  StatsPages pages;
  Hub hub;
  std::atomic<std::size_t> connections{0};
  std::atomic<Stage> stage{Stage::kServing};
  AcceptLoads accept_loads{nullptr};
};

// The clients of one worker: their limits, their time, their topics. What their messages mean is
// for the SocketHandler to say.
class Session final : public Handler, public Application {
 public:
  // Both outlive it.
  Session(SharedState& shared, std::size_t worker, SocketHandler& handler);

  // The engine that calls us; before it runs.
  void attach(Engine& engine) { engine_ = &engine; }

  void on_accept(ConnId id) override;
  void on_data(ConnId id, std::span<std::uint8_t> input) override;
  void on_drained(ConnId id) override;
  void on_closed(ConnId id, CloseReason reason) override;
  void on_wake() override;
  void on_tick() override;

  Answer on_request(Connection& conn, const ws::Request& request, int status) override;
  void on_open(Connection& conn, const ws::Request& request) override;
  void on_message(Connection& conn, ws::Opcode opcode, std::span<std::uint8_t> payload) override;
  void on_ending(Connection& conn, bool violation) override;

  // For Socket, which tells what they do.
  void send(ConnId id, ws::Opcode opcode, std::span<const std::uint8_t> message);
  TopicPtr subscribe(ConnId id, std::string_view topic);
  void subscribe_prefix(ConnId id, std::string_view prefix);
  void publish(ConnId id, const TopicPtr& topic, ws::Opcode opcode,
               std::span<const std::uint8_t> message);
  void close(ConnId id, ws::CloseCode code, std::string_view reason);
  void set_limits(ConnId id, std::uint32_t max_message_bytes, std::uint16_t ping_interval_s);
  std::size_t queued_bytes(ConnId id) const { return engine_->queued_bytes(id); }
  Address peer_address(ConnId id) { return engine_->peer_address(id); }
  void set_state(ConnId id, std::unique_ptr<SocketState> state);
  SocketState* state(ConnId id) {
    const Client* client = find(id);
    return client == nullptr ? nullptr : client->state.get();
  }

 private:
  // Messages of 16 KiB come whole. 0.07 ms.
  static constexpr std::uint64_t kInflatedAtOnceBytes = std::uint64_t{17} * 1024;
  static constexpr std::uint64_t kNever = std::numeric_limits<std::uint64_t>::max();

  struct Subscription {
    TopicPtr topic;
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
    std::unique_ptr<std::vector<Subscription>> subscriptions;
    std::unique_ptr<SocketState> state;
    std::unique_ptr<Closing> closing;
    std::unique_ptr<AccessRecord> access;
    std::uint64_t accepted_ns = 0;
    std::uint64_t heard_ns = 0;
    std::uint64_t due_ns = kNever;      // when the wheel calls next
    std::uint16_t ping_interval_s = 0;  // 0: half the idle timeout
    std::uint16_t refusal = 0;          // came above a limit: the status that says so
    bool limited : 1 = false;           // counted in shared_.address_limits
    bool counted : 1 = false;           // in the gauge of open connections
    bool pinged : 1 = false;            // since it was last heard
    bool throttled : 1 = false;         // in throttled_
    bool inflating : 1 = false;         // in inflating_
  };
  static_assert(sizeof(Client) <= 192, "most of what an idle connection costs");

  std::uint64_t backlog_cap() const;
  std::uint64_t idle_timeout_ns() const;
  Client* find(ConnId id) {
    // Nearly always: an application answers whom it hears.
    if (receiving_ != nullptr && receiving_->connection.id() == id) return receiving_;
    return look_up(id);
  }
  Client* look_up(ConnId id);
  Client* find_open(ConnId id) {
    Client* client = find(id);
    const bool open = client != nullptr && client->connection.phase() == Connection::Phase::kOpen;
    return open ? client : nullptr;
  }
  bool within_address_limits(Client& client);
  Answer route(const Client& client, const ws::Request& request);
  void count_handshake(const Client& client);
  void note_request(Client& client, const ws::Request& request, int status);
  void note_end(Client& client);
  void count_gathered(Client& client, std::size_t before);
  void pause_if_behind(Client& client);
  bool is_behind(const Client& client) const;
  void wait_for_turn(Client& client);
  bool may_go_on(const Client& client) const;
  bool is_crowded();
  void go_on(Client& client);
  void inflate_for_a_while();
  void inflate_some_of(ConnId id);

  void count_sent(Client& client, std::size_t messages, std::size_t bytes);
  void add_subscription(Client& client, const TopicPtr& topic);
  void unsubscribe(Client& client);
  void remove_member(const Subscription& subscription);
  void refuse_publication(ConnId id);
  void gather(PublicationPtr publication);
  void deliver_gathered() {  // asked for with each message
    if (!gathered_.empty()) deliver_what_is_gathered();
  }
  void deliver_what_is_gathered();
  void deliver_to(const Topic& topic, const SharedBytes& plain);
  void send_gathered(Client& client, const SharedBytes& plain);
  bool is_slow(const Client& client) const;
  void drop_if_slow(Client& client);
  void throttle(Client& client);
  void retry_outbox();

  void begin_drain();
  void enter_phase(Client& client);
  std::uint64_t handshake_end(const Client& client) const;
  std::uint64_t lifetime_end(const Client& client) const;
  void schedule(Client& client, std::uint64_t due_ns);
  void cut_off();
  void look_at_due();
  void on_due(std::uint32_t slot);
  std::uint64_t check_time(Client& client);
  std::uint64_t check_open(Client& client);
  std::uint64_t ping_interval_ns(const Client& client) const;
  bool close_is_stuck(Client& client);
  void stop_if_drained();

  SharedState& shared_;
  std::size_t worker_;
  SocketHandler& handler_;
  epulse_stats_worker& stats_;
  std::optional<ws::Compression> compression_;  // before clients_, who use it to their end
  Engine* engine_ = nullptr;
  Slab<Client> clients_;         // by slot
  Client* receiving_ = nullptr;  // whose input is being handled
  std::vector<PeerKey> peers_;   // by slot, with limits per address only
  std::size_t live_ = 0;
  AcceptLoad accept_load_;
  std::size_t gathering_bytes_ = 0;     // of all messages that have not wholly arrived
  std::uint32_t requests_unnoted_ = 0;  // since the last that on_access will be told of
  // Of one topic, in order, for our own clients, who are given them before the callback ends: so
  // that a burst is one piece of memory and one operation for each of them.
  std::vector<PublicationPtr> gathered_;
  std::size_t gathered_bytes_ = 0;  // of their payloads
  Outbox outbox_;
  std::vector<ConnId> throttled_;        // publishers not read until outbox_ is empty
  std::vector<ConnId> inflating_;        // whose input waits until others had their turn
  std::uint64_t inflated_ns_ = 0;        // when one of them had his last
  std::uint64_t drain_deadline_ns_ = 0;  // 0: not draining
  bool cut_off_ = false;                 // who was left then
  TimerWheel wheel_;
  bool more_due_ = false;        // than one turn has time for
  std::uint64_t looked_ns_ = 0;  // at the wheel
};

// Asked for with each message, and so made part of the call.

inline void Session::send(ConnId id, ws::Opcode opcode, std::span<const std::uint8_t> message) {
  deliver_gathered();
  Client* client = find_open(id);
  if (client == nullptr) return;
  client->connection.send(opcode, message, *engine_);
  count_sent(*client, 1, message.size());
}

inline void Session::count_sent(Client& client, std::size_t messages, std::size_t bytes) {
  stat_add(stats_.messages_out, messages);
  if (client.access) {
    client.access->messages_out += messages;
    client.access->bytes_out += bytes;
  }
}

}  // namespace epulse::server
