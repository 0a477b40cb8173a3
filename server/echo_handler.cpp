#include "server/echo_handler.hpp"

#include <algorithm>
#include <ctime>
#include <optional>

#include "server/quality.hpp"
#include "server/ws/text.hpp"

namespace epulse::server {
namespace {

constexpr std::string_view kTopicPath = "/topic/";
constexpr std::size_t kMaxTopicChars = 128;

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

std::uint64_t cpu_time_ns() {
  timespec time{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<std::uint64_t>(time.tv_sec) * 1'000'000'000 +
         static_cast<std::uint64_t>(time.tv_nsec);
}

// By the thread's own clock: one that has to share its CPU takes longer.
void burn(std::uint64_t ns) {
  const std::uint64_t end = cpu_time_ns() + ns;
  while (cpu_time_ns() < end) {
  }
}

}  // namespace

// Of those that came for a topic, or have told of their quality.
struct EchoHandler::State final : SocketState {
  bool is_subscriber = false;
  TopicPtr topic;                         // none: a prefix of many
  std::optional<QualityLimits> promised;  // by the last answer
};

EchoHandler::State& EchoHandler::state_of(Socket socket) {
  if (socket.state<State>() == nullptr) {
    socket.set_state(std::make_unique<State>());
    ++states_;
  }
  return *socket.state<State>();
}

SocketHandler::Reply EchoHandler::on_request(const ws::Request& request) {
  const std::string_view path = path_of(request);
  if (!path.starts_with(kTopicPath) || is_topic_name(path.substr(kTopicPath.size()))) return {};
  return {404, "topic names are 1 to 128 letters, digits and -._~; a * at the end makes a prefix"};
}

void EchoHandler::on_open(Socket socket, const ws::Request& request) {
  std::string_view path = path_of(request);
  if (!path.starts_with(kTopicPath)) return;
  const std::string_view name = path.substr(kTopicPath.size());
  State& state = state_of(socket);
  state.is_subscriber = true;
  if (is_prefix(name)) {
    socket.subscribe_prefix(name.substr(0, name.size() - 1));
  } else {
    state.topic = socket.subscribe(name);
  }
}

// What most echoes come through: what only some need is apart, so that it saves no registers here.
void EchoHandler::on_message(Socket socket, ws::Opcode opcode, std::span<std::uint8_t> message) {
  if (!only_echoes_ || states_ != 0) return consider(socket, opcode, message);
  socket.send(opcode, message);
}

[[gnu::noinline]] void EchoHandler::consider(Socket socket, ws::Opcode opcode,
                                             std::span<const std::uint8_t> message) {
  if (options_.delay_ns != 0) burn(options_.delay_ns);
  if (options_.quality_reports && opcode == ws::Opcode::kText && take_report(socket, message)) {
    return;
  }
  const auto* state = socket.state<State>();
  if (state == nullptr || !state->is_subscriber) {
    socket.send(opcode, message);
  } else if (state->topic) {
    socket.publish(state->topic, opcode, message);
  } else {
    socket.close(ws::CloseCode::kPolicyViolation, "a prefix of topics cannot be published to");
  }
}

void EchoHandler::on_close(Socket socket, ws::CloseCode /*code*/) {
  if (socket.state<State>() != nullptr) --states_;
}

// Whether the text was a report. What the last answer has told holds from the next report on: what
// was on its way before the client knew is not held against it.
bool EchoHandler::take_report(Socket socket, std::span<const std::uint8_t> text) {
  const auto report = parse_quality(ws::text_of(text));
  if (!report) return false;
  State& state = state_of(socket);
  if (state.promised) {
    socket.set_limits(state.promised->max_message_bytes,
                      static_cast<std::uint16_t>(state.promised->ping_interval_s));
  }
  const QualityLimits& at_most = options_.at_most;
  state.promised = limits_for(*report);
  state.promised->max_message_bytes =
      std::min(state.promised->max_message_bytes, at_most.max_message_bytes);
  state.promised->ping_interval_s =
      std::min(state.promised->ping_interval_s, at_most.ping_interval_s);
  socket.send_text(limits_text(*state.promised));
  return true;
}

}  // namespace epulse::server
