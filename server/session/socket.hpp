#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "server/engine/engine.hpp"
#include "server/ws/close_code.hpp"
#include "server/ws/frame.hpp"
#include "server/ws/handshake.hpp"

// What an application of epulse-ws sees: sockets, and what happens to them.
namespace epulse::server {

class Session;
class Topic;
using TopicPtr = std::shared_ptr<Topic>;

// What an application keeps with a connection; gone with it.
struct SocketState {
  SocketState() = default;
  SocketState(const SocketState&) = delete;
  SocketState& operator=(const SocketState&) = delete;
  virtual ~SocketState() = default;
};

// One open WebSocket connection. A name, cheap to copy: operations do nothing when the connection
// has gone. For the SocketHandler of its worker, while that is being called.
class Socket {
 public:
  Socket(Session& session, ConnId id) : session_(&session), id_(id) {}

  // One unfragmented message, compressed where that was agreed on. What is sent during one callback
  // leaves together.
  void send(ws::Opcode opcode, std::span<const std::uint8_t> message) const;
  void send_text(std::string_view message) const;

  // From now on it gets the messages of a topic, or of all topics whose names begin with `prefix`:
  // one copy for each subscription.
  TopicPtr subscribe(std::string_view topic) const;
  void subscribe_prefix(std::string_view prefix) const;

  // To all subscribers on all workers; in order, as far as this worker's messages to one topic go.
  // A socket that publishes faster than a worker delivers is not read until that has caught up; one
  // that publishes what would have to wait behind 64 MiB is closed with 1013, and its message goes
  // to nobody; as does what a socket that has ended publishes then.
  void publish(const TopicPtr& topic, ws::Opcode opcode,
               std::span<const std::uint8_t> message) const;
  void publish_text(const TopicPtr& topic, std::string_view message) const;

  // Starts the closing handshake (RFC 6455, 7.1.2).
  void close(ws::CloseCode code, std::string_view reason) const;

  // What holds for this socket's messages to come instead of SessionOptions::max_message_bytes, as
  // far as it is less; and when it is pinged, instead of half the idle timeout, as far as that is
  // sooner. Only from inside its own on_message().
  void set_limits(std::uint32_t max_message_bytes, std::uint16_t ping_interval_s) const;

  // Bytes that wait here for the peer to read. Who is behind with reading is not read either,
  // unless it has subscribed to something: then SessionOptions::slow_policy holds.
  std::size_t queued_bytes() const;

  // Of size 0 when the connection has gone.
  Address peer_address() const;

  void set_state(std::unique_ptr<SocketState> state) const;
  // What set_state() was given, which must have been a State; nullptr when it was not called.
  template <typename State>
  State* state() const {
    return static_cast<State*>(any_state());
  }

  ConnId id() const { return id_; }

 private:
  SocketState* any_state() const;

  Session* session_;
  ConnId id_;
};

// An application: one object for each worker, called by that worker's thread, one call at a time.
class SocketHandler {
 public:
  // Anything but 101 refuses: sent as plain HTTP, with `why` in the body.
  struct Reply {
    int status = 101;
    std::string why{};
  };

  SocketHandler() = default;
  SocketHandler(const SocketHandler&) = delete;
  SocketHandler& operator=(const SocketHandler&) = delete;
  virtual ~SocketHandler() = default;

  // A right request of somebody who may connect, as far as SessionOptions say.
  virtual Reply on_request(const ws::Request& /*request*/) { return {}; }

  // `request` is gone after the call.
  virtual void on_open(Socket /*socket*/, const ws::Request& /*request*/) {}

  // A whole message; `message` may be changed, and is gone after the call.
  virtual void on_message(Socket socket, ws::Opcode opcode, std::span<std::uint8_t> message) = 0;

  // The peer had been behind with reading, and has all of it now.
  virtual void on_writable(Socket /*socket*/) {}

  // The last call of a socket that was open. `code` is the first close frame's, of whichever side;
  // kAbnormal when there was none.
  virtual void on_close(Socket /*socket*/, ws::CloseCode /*code*/) {}
};

// What makes a worker's object, in that worker's thread.
using HandlerFactory = std::function<std::unique_ptr<SocketHandler>(std::size_t worker)>;

}  // namespace epulse::server
