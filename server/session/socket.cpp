#include "server/session/socket.hpp"

#include "server/session/session.hpp"

namespace epulse::server {
namespace {

std::span<const std::uint8_t> bytes_of(std::string_view text) {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

}  // namespace

void Socket::send(ws::Opcode opcode, std::span<const std::uint8_t> message) const {
  session_->send(id_, opcode, message);
}

void Socket::send_text(std::string_view message) const {
  send(ws::Opcode::kText, bytes_of(message));
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
  publish(topic, ws::Opcode::kText, bytes_of(message));
}

void Socket::close(ws::CloseCode code, std::string_view reason) const {
  session_->close(id_, code, reason);
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
