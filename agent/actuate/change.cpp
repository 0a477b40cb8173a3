#include "agent/actuate/change.hpp"

#include <fmt/format.h>

#include "agent/model/by_hand.hpp"

namespace epulse::actuate {
namespace {

const char* side_name(model::BufferSide side) {
  return side == model::BufferSide::kReceive ? "receive" : "send";
}

std::string target(const ThreadAffinity& c) {
  return fmt::format("thread {} ({})", c.tid, c.name);
}

std::string target(const SocketBuffer& c) {
  return fmt::format("{} buffer of fd {} of process {}", side_name(c.side), c.fd, c.pid);
}

std::string target(const ServerSetting& c) {
  return fmt::format("{} of process {}", c.name, c.pid);
}

std::string values(const ThreadAffinity& c) {
  return fmt::format("CPUs {} -> {}", c.old_mask.to_string(), c.new_mask.to_string());
}

std::string values(const SocketBuffer& c) {
  return fmt::format("{} -> {} bytes{}", c.old_bytes, c.new_bytes,
                     c.old_lock ? "" : " (this kernel cannot be given the auto-tuning back)");
}

std::string values(const ServerSetting& c) {
  return fmt::format("{} -> {}", c.old_value, c.new_value);
}

std::string command(const ThreadAffinity& c) {
  return model::affinity_by_hand(c.tid, c.new_mask);
}

std::string command(const SocketBuffer& c) {
  return model::socket_buffer_by_hand(c.pid, c.fd, c.side, c.new_bytes);
}

std::string command(const ServerSetting& c) {
  return model::setting_by_hand(c.socket, c.name, c.new_value);
}

std::string undo_command(const ThreadAffinity& c) {
  return model::affinity_by_hand(c.tid, c.old_mask);
}

std::string undo_command(const SocketBuffer& c) {
  std::string text = model::socket_buffer_by_hand(c.pid, c.fd, c.side, c.old_bytes);
  if (c.old_lock) {
    text += fmt::format(", then setsockopt({}, SOL_SOCKET, SO_BUF_LOCK, {})", c.fd, *c.old_lock);
  }
  return text;
}

std::string undo_command(const ServerSetting& c) {
  return model::setting_by_hand(c.socket, c.name, c.old_value);
}

bool same(const ThreadAffinity& a, const ThreadAffinity& b) {
  return a.tid == b.tid && a.start_ticks == b.start_ticks;
}

bool same(const SocketBuffer& a, const SocketBuffer& b) {
  return a.inode == b.inode && a.side == b.side;
}

bool same(const ServerSetting& a, const ServerSetting& b) {
  return a.pid == b.pid && a.start_ticks == b.start_ticks && a.name == b.name;
}

}  // namespace

std::string target_text(const Change& change) {
  return std::visit([](const auto& c) { return target(c); }, change);
}

std::string describe(const Change& change) {
  return std::visit([](const auto& c) { return fmt::format("{}: {}", target(c), values(c)); },
                    change);
}

std::string by_hand(const Change& change) {
  return std::visit([](const auto& c) { return command(c); }, change);
}

std::string undo_by_hand(const Change& change) {
  return std::visit([](const auto& c) { return undo_command(c); }, change);
}

bool same_target(const Change& a, const Change& b) {
  return std::visit(
      [&](const auto& x) {
        const auto* const y = std::get_if<std::decay_t<decltype(x)>>(&b);
        return y != nullptr && same(x, *y);
      },
      a);
}

}  // namespace epulse::actuate
