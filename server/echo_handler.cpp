#include "server/echo_handler.hpp"

#include <algorithm>
#include <chrono>

namespace epulse::server {
namespace {

constexpr std::string_view kTopicPath = "/topic/";
constexpr std::size_t kMaxTopicChars = 128;

// Of those that came for a topic.
struct Subscriber final : SocketState {
  TopicPtr topic;  // null: a prefix of many
};

std::string_view path_of(const ws::Request& request) {
  return request.target.substr(0, request.target.find('?'));
}

bool is_prefix(std::string_view name) {
  return name.ends_with('*');
}

// The unreserved characters of RFC 3986, 2.3: nothing that could be escaped in two ways. An
// asterisk at the end makes a prefix of it.
bool is_topic_name(std::string_view name) {
  if (name.empty() || name.size() > kMaxTopicChars) return false;
  if (is_prefix(name)) name.remove_suffix(1);
  return std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' ||
           c == '.' || c == '_' || c == '~';
  });
}

void burn(std::uint64_t ns) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::nanoseconds(ns);
  while (std::chrono::steady_clock::now() < end) {
  }
}

}  // namespace

SocketHandler::Reply EchoHandler::on_request(const ws::Request& request) {
  const std::string_view path = path_of(request);
  if (!path.starts_with(kTopicPath) || is_topic_name(path.substr(kTopicPath.size()))) return {};
  return {404, "topic names are 1 to 128 letters, digits and -._~; a * at the end makes a prefix"};
}

void EchoHandler::on_open(Socket socket, const ws::Request& request) {
  std::string_view path = path_of(request);
  if (!path.starts_with(kTopicPath)) return;
  const std::string_view name = path.substr(kTopicPath.size());
  auto subscriber = std::make_unique<Subscriber>();
  if (is_prefix(name)) {
    socket.subscribe_prefix(name.substr(0, name.size() - 1));
  } else {
    subscriber->topic = socket.subscribe(name);
  }
  socket.set_state(std::move(subscriber));
}

void EchoHandler::on_message(Socket socket, ws::Opcode opcode, std::span<std::uint8_t> message) {
  if (delay_ns_ != 0) burn(delay_ns_);
  const auto* subscriber = socket.state<Subscriber>();
  if (subscriber == nullptr) {
    socket.send(opcode, message);
  } else if (subscriber->topic) {
    socket.publish(subscriber->topic, opcode, message);
  } else {
    socket.close(ws::CloseCode::kPolicyViolation, "a prefix of topics cannot be published to");
  }
}

}  // namespace epulse::server
