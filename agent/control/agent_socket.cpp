#include "agent/control/agent_socket.hpp"

#include <chrono>
#include <utility>

namespace epulse::control {
namespace {

// The loop is away for as long as a sample or a write to the journal takes.
constexpr std::chrono::seconds kPatience{5};

}  // namespace

AgentSocket::AgentSocket(uv_loop_t& loop, const LineSocketOptions& options, Handle handle)
    : handle_(std::move(handle)) {
  const std::lock_guard lock(mutex_);  // the first line may come before we are ready for it
  socket_ =
      std::make_unique<LineSocket>(options, [this](std::string_view line) { return answer(line); });
  uv_async_init(&loop, &wake_, [](uv_async_t* async) {
    static_cast<AgentSocket*>(async->data)->handle_waiting();
  });
  wake_.data = this;
}

void AgentSocket::close() {
  {
    const std::lock_guard lock(mutex_);
    closed_ = true;
  }
  answered_.notify_one();
  socket_.reset();
}

std::string AgentSocket::answer(std::string_view line) {
  const auto parsed = parse_request(line);
  if (const auto* const refusal = std::get_if<Refusal>(&parsed)) return error_line(refusal->why);
  std::unique_lock lock(mutex_);
  request_ = std::get<Request>(parsed);
  answer_.reset();
  uv_async_send(&wake_);
  answered_.wait_for(lock, kPatience, [&] { return answer_.has_value() || closed_; });
  request_.reset();  // the loop must not do later what we say was not done
  if (answer_) return std::exchange(answer_, std::nullopt).value();
  return error_line(closed_ ? "epulsed is about to end" : "epulsed is busy; nothing was done");
}

void AgentSocket::handle_waiting() {
  const std::lock_guard lock(mutex_);
  if (!request_) return;
  answer_ = handle_(*request_);
  answered_.notify_one();
}

}  // namespace epulse::control
