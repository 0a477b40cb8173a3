#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "server/engine/engine.hpp"
#include "server/ws/compression.hpp"
#include "server/ws/handshake.hpp"
#include "server/ws/parser.hpp"

namespace epulse::server {

class Connection;

// What a connection is for. Callbacks come from inside Connection::receive().
class Application {
 public:
  struct Answer {
    int status = 101;  // anything else is sent as plain HTTP, and the connection ends
    std::string body;
    std::string_view subprotocol;            // of those that the request offers; empty: none
    ws::Compression* compression = nullptr;  // of this thread, to outlive the connection; or none
  };

  virtual ~Application() = default;
  // `status` is what the request itself deserves: 101 when it is a right one.
  virtual Answer on_request(Connection& conn, const ws::Request& request, int status) = 0;
  // The answer to the request, which is gone after the call, was 101 and is on its way.
  virtual void on_open(Connection& conn, const ws::Request& request) = 0;
  // A whole message; `payload` may be changed, and is gone after the call.
  virtual void on_message(Connection& conn, ws::Opcode opcode, std::span<std::uint8_t> payload) = 0;
  // The peer says that it closes, or broke RFC 6455: what is sent from here on, it will not hear.
  virtual void on_ending(Connection& conn, bool violation) = 0;
};

// One WebSocket connection, server role: opening handshake, messages, closing handshake.
class Connection {
 public:
  enum class Phase : std::uint8_t {
    kHandshake,
    kOpen,
    kClosing,   // our close frame is out, the peer's has not come
    kFinished,  // nothing more is said or heard; the engine waits for FIN
  };

  Connection(ConnId id, std::uint32_t max_message_bytes)
      : id_(id), parser_(ws::Role::kServer, max_message_bytes) {}

  void receive(std::span<std::uint8_t> input, Engine& engine, Application& application);

  // Whether input waits until more may be inflated (ws::InflatePool::allow): what is received joins
  // it. To go on, receive what waited.
  bool waits() const { return unread_ && phase_ != Phase::kHandshake; }
  std::unique_ptr<Bytes> take_unread() { return std::move(unread_); }

  // One unfragmented message, compressed where that was agreed on.
  void send(ws::Opcode opcode, std::span<const std::uint8_t> payload, Engine& engine);
  void ping(Engine& engine);

  // Starts the closing handshake (RFC 6455, 7.1.2).
  void close(ws::CloseCode code, std::string_view reason, Engine& engine);
  // Fails the connection (7.1.7): says why, and reads nothing more.
  void fail(ws::CloseCode code, std::string_view reason, Engine& engine);

  // Ends it without another word.
  void drop(Engine& engine);
  // It has ended.
  void lose();

  // For frames that others get as well: the window that a compressed one must keep to, 0 when it
  // must not be compressed; and what to call when a compressed one was sent.
  std::uint8_t window_bits() const { return sender_.window_bits(); }
  void forget_context() { sender_.forget_context(); }

  // Of messages to come; while one is being handled, or none is under way.
  void set_max_message_bytes(std::uint32_t bytes) { parser_.set_max_message_bytes(bytes); }

  // Heap held for a message that has not wholly arrived, or cannot be read yet.
  std::size_t gathered_bytes() const {
    return parser_.gathered_bytes() + (waits() ? unread_->capacity() : 0);
  }

  ConnId id() const { return id_; }
  Phase phase() const { return phase_; }
  // Of the first close frame, of whichever side; kAbnormal while there was none.
  ws::CloseCode close_code() const { return close_code_; }

 private:
  void send_any(ws::Opcode opcode, std::span<const std::uint8_t> payload, Engine& engine);
  void shake_hands(std::span<std::uint8_t> input, Engine& engine, Application& application);
  std::size_t answer(std::string_view buffer, Engine& engine, Application& application);
  ws::Agreement agree(const ws::Request& request, const Application::Answer& answer);
  void read_frames(std::span<std::uint8_t> input, Engine& engine, Application& application);
  std::span<std::uint8_t> read_short_messages(std::span<std::uint8_t> input,
                                              Application& application);
  void handle(const ws::Event& event, Engine& engine, Application& application);
  void say_close(ws::CloseCode code, std::string_view reason, Engine& engine);
  void finish(Engine& engine);

  ConnId id_;
  std::unique_ptr<Bytes> unread_;  // while a request arrives in pieces, or input waits
  ws::Parser parser_;
  ws::DeflateSender sender_;
  ws::CloseCode close_code_ = ws::CloseCode::kAbnormal;
  Phase phase_ = Phase::kHandshake;
};

// The usual case, where it is called: a short frame is made where it leaves from.
inline void Connection::send(ws::Opcode opcode, std::span<const std::uint8_t> payload,
                             Engine& engine) {
  if (sender_.may_compress() || !ws::is_short(payload)) return send_any(opcode, payload, engine);
  std::uint8_t* const at = engine.room(id_, ws::kShortHeaderBytes + payload.size());
  if (at == nullptr) return send_any(opcode, payload, engine);
  ws::write_short_frame(at, opcode, false, payload);
}

}  // namespace epulse::server
