// Sending: what is written while one input is handled is corked, and leaves in one call after it.
#include <linux/sockios.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

#include "server/contract/stats_writer.hpp"
#include "server/engine/epoll_engine.hpp"
#include "server/engine/socket_calls.hpp"

namespace epulse::server {
namespace {

// A message from here on has a call of its own, which is cheaper than another copy.
constexpr std::size_t kDirectBytes = std::size_t{8} * 1024;
constexpr std::size_t kPartsPerSend = 64;
constexpr int kSendFlags = MSG_NOSIGNAL | MSG_DONTWAIT;

iovec iovec_of(Part part) {
  return {const_cast<std::uint8_t*>(part.data()), part.size()};
}

std::size_t total(std::span<const Part> parts) {
  std::size_t bytes = 0;
  for (const Part part : parts) bytes += part.size();
  return bytes;
}

}  // namespace

void EpollEngine::send(ConnId id, std::span<const Part> parts) {
  shut_room();
  Conn* conn = current_ != nullptr && current_->id() == id && current_->open ? current_ : find(id);
  if (conn == nullptr || conn->finishing) return;
  if (conn->output) return queue(*conn, parts, 0);
  if (conn != current_) {
    queue(*conn, parts, 0);
    return mark_dirty(*conn);
  }
  const std::size_t bytes = total(parts);
  const bool direct = bytes >= kDirectBytes && corked_ == 0 && parts.size() > 1;
  if (direct || corked_ + bytes > cork_.size()) return send_now(*conn, parts);
  for (const Part part : parts) {
    std::copy(part.begin(), part.end(), cork_.begin() + static_cast<std::ptrdiff_t>(corked_));
    corked_ += part.size();
  }
}

std::uint8_t* EpollEngine::open_room(ConnId id, std::size_t bytes) {
  if (current_ == nullptr || current_->id() != id || !current_->open) return nullptr;
  shut_room();
  if (current_->finishing || current_->output || bytes > cork_.size() - corked_) return nullptr;
  std::uint8_t* const at = cork_.data() + corked_;
  room_ = {id, at + bytes, cork_.data() + cork_.size()};
  return at;
}

std::size_t EpollEngine::corked() const {
  return room_.at == nullptr ? corked_ : static_cast<std::size_t>(room_.at - cork_.data());
}

void EpollEngine::shut_room() {
  corked_ = corked();
  room_ = {};
}

// Unless it would overtake something, or somebody else is being called.
void EpollEngine::send_gathered(ConnId id, Part bytes) {
  Conn* conn = find(id);
  if (conn == nullptr || conn->finishing) return;
  const bool ours = current_ == nullptr || current_ == conn;
  if (!ours || conn->output || conn->blocked) return send(id, {&bytes, 1});
  shut_room();
  send_now(*conn, {&bytes, 1});
}

void EpollEngine::send_shared(ConnId id, SharedBytes bytes) {
  Conn* conn = find(id);
  if (conn == nullptr || conn->finishing) return;
  if (conn == current_) spill_cork(*conn);
  output_of(*conn).append_shared(std::move(bytes));
  mark_dirty(*conn);
}

// Too big for the cork: leaves at once from where it is, behind what is corked.
void EpollEngine::send_now(Conn& conn, std::span<const Part> parts) {
  std::array<iovec, kPartsPerSend> out{};
  std::size_t used = 0;
  if (corked_ != 0) out[used++] = iovec_of(Part(cork_).first(corked_));
  const std::size_t direct = std::min(parts.size(), out.size() - used);
  for (const Part part : parts.first(direct)) out[used++] = iovec_of(part);
  const std::size_t sent = write_some(conn, std::span(out).first(used));
  if (!conn.open) return;
  if (sent < corked_) {
    output_of(conn).append(Part(cork_).subspan(sent, corked_ - sent));
    queue(conn, parts, 0);
  } else {
    queue(conn, parts, sent - corked_);
  }
  corked_ = 0;
  if (conn.output) flush_output(conn);
}

// Queues `parts` but for their first `skip` bytes.
void EpollEngine::queue(Conn& conn, std::span<const Part> parts, std::size_t skip) {
  for (const Part part : parts) {
    const std::size_t sent = std::min(skip, part.size());
    skip -= sent;
    if (sent < part.size()) output_of(conn).append(part.subspan(sent));
  }
}

void EpollEngine::spill_cork(Conn& conn) {
  shut_room();
  if (corked_ == 0) return;
  output_of(conn).append(Part(cork_).first(corked_));
  corked_ = 0;
}

void EpollEngine::flush_cork(Conn& conn) {
  shut_room();
  if (corked_ == 0) return;
  const std::size_t corked = std::exchange(corked_, 0);
  if (!conn.open) return;
  iovec out = iovec_of(Part(cork_).first(corked));
  const std::size_t sent = write_some(conn, {&out, 1});
  if (!conn.open || sent == corked) return;
  output_of(conn).append(Part(cork_).subspan(sent, corked - sent));
  if (!conn.blocked) mark_dirty(conn);
}

void EpollEngine::flush_output(Conn& conn) {
  std::array<iovec, kPartsPerSend> out{};
  while (conn.output && !conn.output->empty()) {
    const std::size_t sent = write_some(conn, std::span(out).first(conn.output->gather(out)));
    if (!conn.open) return;
    conn.output->consume(sent);
    if (conn.blocked && sent == 0) return;
  }
  output_done(conn);
}

void EpollEngine::output_done(Conn& conn) {
  if (conn.output) outputs_.give_back(std::move(conn.output));
  set_blocked(conn, false);
  if (conn.finishing && !conn.fin_sent) {
    conn.fin_sent = true;
    // Fails only when the connection is gone, which the next read tells.
    shutdown(conn.fd, SHUT_WR);
    if (conn.fin_seen) close_conn(conn, CloseReason::kFinished);
  }
}

// Bytes that the kernel took. Arms EPOLLOUT when it takes no more; closes on errors.
std::size_t EpollEngine::write_some(Conn& conn, std::span<iovec> parts) {
  msghdr message{};
  message.msg_iov = parts.data();
  message.msg_iovlen = parts.size();
  while (true) {
    // send() costs the kernel less where it will do.
    const ssize_t n = parts.size() == 1
                          ? send_bytes(conn.fd, parts[0].iov_base, parts[0].iov_len, kSendFlags)
                          : sendmsg(conn.fd, &message, kSendFlags);
    if (n >= 0) {
      stat_add(stats_.bytes_out, static_cast<std::uint64_t>(n));
      return static_cast<std::size_t>(n);
    }
    if (errno == EINTR) continue;
    if (errno == EAGAIN) {
      set_blocked(conn, true);
    } else {  // EPIPE, ECONNRESET, ETIMEDOUT, ...: nobody is there any more.
      close_conn(conn, CloseReason::kError, errno);
    }
    return 0;
  }
}

OutputQueue& EpollEngine::output_of(Conn& conn) {
  if (!conn.output) conn.output = outputs_.take();
  return *conn.output;
}

void EpollEngine::mark_dirty(Conn& conn) {
  if (conn.dirty) return;
  conn.dirty = true;
  dirty_.push_back(conn.id());
}

std::size_t EpollEngine::queued_bytes(ConnId id) const {
  const Conn* conn = find(id);
  if (conn == nullptr) return 0;
  const std::size_t unsent = conn == current_ ? corked() : 0;
  return unsent + (conn->output ? conn->output->bytes() : 0);
}

std::size_t EpollEngine::unacknowledged_bytes(ConnId id) {
  const Conn* conn = find(id);
  if (conn == nullptr) return 0;
  int in_kernel = 0;
  if (ioctl(conn->fd, SIOCOUTQ, &in_kernel) != 0) in_kernel = 0;  // Not a TCP socket any more.
  return queued_bytes(id) + static_cast<std::size_t>(in_kernel);
}

bool EpollEngine::blocked(ConnId id) const {
  const Conn* conn = find(id);
  return conn != nullptr && conn->blocked;
}

}  // namespace epulse::server
