#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "server/engine/engine.hpp"
#include "server/engine/output_queue.hpp"
#include "server/tls/context.hpp"
#include "server/tls/early_gate.hpp"
#include "server/tls/pipe.hpp"
#include "server/tls/stream.hpp"

namespace epulse::server {

// Stands between an engine and its handler: to the engine a handler of ciphertext, to the handler
// an engine of plaintext. What is sent to a connection while one callback runs leaves in as few
// records as it fits.
//
// The peer's close_notify ends a connection like its FIN; a FIN without it does too (kPeer): that
// nothing is missing is for the protocol above to say, and WebSocket's closing handshake does. A
// connection that breaks TLS ends with an alert, and kError. Who has ended its stream so is reset
// when it has neither closed the connection nor taken some of what is on its way to it for two
// seconds.
class TlsEngine final : public Engine, public Handler {
 public:
  // Both outlive it.
  TlsEngine(const tls::Context& context, Handler& handler);

  // The engine that calls us; before it runs.
  void attach(Engine& transport) { outlet_.transport = &transport; }

  void run() override { transport().run(); }
  void stop() override { transport().stop(); }
  void stop_accepting() override { transport().stop_accepting(); }
  std::uint64_t now_ns() const override { return transport().now_ns(); }
  void set_batch(std::size_t events) override { transport().set_batch(events); }

  void send(ConnId id, std::span<const Part> parts) override;
  void send_shared(ConnId id, SharedBytes bytes) override;
  std::size_t queued_bytes(ConnId id) const override;
  std::size_t unacknowledged_bytes(ConnId id) override;
  bool blocked(ConnId id) const override { return transport().blocked(id); }
  Address peer_address(ConnId id) override { return transport().peer_address(id); }
  void deliver(ConnId id, std::span<std::uint8_t> input) override;
  void pause_reading(ConnId id) override { transport().pause_reading(id); }
  void resume_reading(ConnId id) override { transport().resume_reading(id); }
  void finish(ConnId id) override;
  void abort(ConnId id) override;

  void on_accept(ConnId id) override;
  void on_data(ConnId id, std::span<std::uint8_t> input) override;
  void on_drained(ConnId id) override;
  void on_closed(ConnId id, CloseReason reason) override;
  void on_wake() override;
  void on_tick() override;

 private:
  struct Conn {
    ConnId id;
    std::optional<tls::Stream> stream;     // from the first byte on
    std::unique_ptr<OutputQueue> plain;    // only while a callback runs, or the socket is full
    std::unique_ptr<tls::EarlyGate> gate;  // only during a handshake that may have early data
    CloseReason reason = CloseReason::kFinished;  // why finish() was called on the transport
    bool live = false;
    bool ended = false;      // neither read nor written any more
    bool finishing = false;  // to be ended when the handshake is complete
  };

  // A peer that has ended its stream, and is to close the connection.
  struct Ending {
    ConnId id;
    std::uint64_t due_ns;
    std::size_t unsent;  // bytes it had not acknowledged when last looked at
  };

  // Ciphertext on its way to one connection.
  struct Outlet final : tls::Sink {
    Engine* transport = nullptr;
    ConnId to;
    void take(Part cipher) override { transport->send(to, {&cipher, 1}); }
  };

  Engine& transport() const { return *outlet_.transport; }
  tls::Sink& outlet(const Conn& conn) {
    outlet_.to = conn.id;
    return outlet_;
  }
  const Conn* find(ConnId id) const;
  Conn* find(ConnId id);
  Conn* find_writable(ConnId id);

  void begin(Conn& conn);
  void deliver(Conn& conn, tls::Stream::Plain plain);
  void hand_over(Conn& conn, std::span<std::uint8_t> plain);
  void after_input(Conn& conn);
  void end(Conn& conn, CloseReason reason);
  void reset_who_stays();
  void report_failure(const std::string& why);

  // Whether what it is sent goes to the cork: nothing is before it.
  bool is_corked(const Conn& conn) const { return &conn == current_ && !conn.plain; }
  OutputQueue& plain_of(Conn& conn);
  std::size_t unsealed_bytes(const Conn& conn) const;
  void add(Conn& conn, Part part);
  std::uint8_t* open_room(ConnId id, std::size_t bytes) override;
  std::size_t corked() const;
  void shut_room();
  void flush_cork(Conn& conn);
  void seal(Conn& conn);
  void seal_queue(Conn& conn);
  void seal_all();

  const tls::Context& context_;
  Handler& handler_;
  Outlet outlet_;
  tls::Pipe pipe_;
  std::deque<Conn> conns_;        // by slot
  Bytes cork_;                    // a record being filled
  std::size_t corked_ = 0;        // bytes in it, but for those since its room was opened
  Conn* current_ = nullptr;       // whose on_data() runs, to whom cork_ belongs
  bool handed_over_ = false;      // whether the handler was told of its input
  std::vector<ConnId> unsealed_;  // others that have something in Conn::plain
  std::deque<Ending> endings_;    // by due_ns
  OutputPool queues_;
  std::uint64_t failures_ = 0;  // since the last report
  std::uint64_t reported_ns_ = 0;
};

}  // namespace epulse::server
