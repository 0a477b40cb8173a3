#include "server/session/socket.hpp"

#include "server/session/session.hpp"
#include "server/ws/text.hpp"

namespace epulse::server {

// With all that it calls in one: no other call is made so often.
[[gnu::flatten]] void Socket::send(ws::Opcode opcode, std::span<const std::uint8_t> message) const {
  session_->send(id_, opcode, message);
}

void Socket::send_text(std::string_view message) const {
  send(ws::Opcode::kText, ws::bytes_of(message));
}

TopicPtr Socket::subscribe(std::string_view topic) const {
  return session_->subscribe(id_, topic);
}

void Socket::subscribe_prefix(std::string_view prefix) const {
  session_->subscribe_prefix(id_, prefix);
}

void Socket::publish(const TopicPtr& topic, ws::Opcode opcode,
                     std::span<const std::uint8_t> message) const {
  session_->publish(id_, topic, opcode, message);
}

void Socket::publish_text(const TopicPtr& topic, std::string_view message) const {
  publish(topic, ws::Opcode::kText, ws::bytes_of(message));
}

void Socket::close(ws::CloseCode code, std::string_view reason) const {
  session_->close(id_, code, reason);
}

void Socket::set_limits(std::uint32_t max_message_bytes, std::uint16_t ping_interval_s) const {
  session_->set_limits(id_, max_message_bytes, ping_interval_s);
}

std::size_t Socket::queued_bytes() const {
  return session_->queued_bytes(id_);
}

Address Socket::peer_address() const {
  return session_->peer_address(id_);
}

void Socket::set_state(std::unique_ptr<SocketState> state) const {
  session_->set_state(id_, std::move(state));
}

SocketState* Socket::any_state() const {
  return session_->state(id_);
}

}  // namespace epulse::server
