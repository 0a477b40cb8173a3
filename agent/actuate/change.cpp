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

std::string values(const ThreadAffinity& c) {
  return fmt::format("CPU mask {} -> {}", c.old_mask.to_string(), c.new_mask.to_string());
}

std::string values(const SocketBuffer& c) {
  return fmt::format("{} -> {} bytes{}", c.old_bytes, c.new_bytes,
                     c.old_lock ? "" : " (this kernel cannot be given the auto-tuning back)");
}

std::string command(const ThreadAffinity& c, const model::CpuSet& mask) {
  return model::affinity_by_hand(c.tid, mask);
}

std::string command(const SocketBuffer& c, uint64_t bytes) {
  return model::socket_buffer_by_hand(c.pid, c.fd, c.side, bytes);
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
  if (const auto* const affinity = std::get_if<ThreadAffinity>(&change)) {
    return command(*affinity, affinity->new_mask);
  }
  const auto& buffer = std::get<SocketBuffer>(change);
  return command(buffer, buffer.new_bytes);
}

std::string undo_by_hand(const Change& change) {
  if (const auto* const affinity = std::get_if<ThreadAffinity>(&change)) {
    return command(*affinity, affinity->old_mask);
  }
  const auto& buffer = std::get<SocketBuffer>(change);
  std::string text = command(buffer, buffer.old_bytes);
  if (buffer.old_lock) {
    text += fmt::format(", then setsockopt({}, SOL_SOCKET, SO_BUF_LOCK, {})", buffer.fd,
                        *buffer.old_lock);
  }
  return text;
}

bool same_target(const Change& a, const Change& b) {
  if (a.index() != b.index()) return false;
  if (const auto* const x = std::get_if<ThreadAffinity>(&a)) {
    const auto& y = std::get<ThreadAffinity>(b);
    return x->tid == y.tid && x->start_ticks == y.start_ticks;
  }
  const auto& x = std::get<SocketBuffer>(a);
  const auto& y = std::get<SocketBuffer>(b);
  return x.inode == y.inode && x.side == y.side;
}

}  // namespace epulse::actuate
