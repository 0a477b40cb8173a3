#include "agent/actuate/socket_buffer.hpp"

#include <limits>

#include "agent/actuate/proc_thread.hpp"
#include "agent/actuate/remote_socket.hpp"
#include "agent/error.hpp"

namespace epulse::actuate {
namespace {

// Our own descriptor of the socket that was meant; empty when the process or the socket is gone.
UniqueFd find_socket(const SocketBuffer& change) {
  UniqueFd process = open_process(change.pid);
  if (!process) return {};
  // After the pidfd, so that both are of one process.
  const auto stat = read_thread_stat(change.pid, change.pid);
  if (!stat || stat->start_ticks != change.start_ticks) return {};
  UniqueFd socket = take_descriptor(process, change.pid, change.fd);
  if (!socket || socket_inode(socket.get()) != change.inode) return {};
  return socket;
}

// An odd size, which only the kernel's own tuning makes, can be set to within a byte.
bool same_size(uint64_t a, uint64_t b) {
  return a / 2 == b / 2;
}

void restore(int socket, const SocketBuffer& change) {
  set_buffer_bytes(socket, change.side, change.old_bytes);
  const uint64_t now = buffer_bytes(socket, change.side);
  if (!same_size(now, change.old_bytes)) {
    fail("size became {} instead of {} bytes", now, change.old_bytes);
  }
  if (!change.old_lock) return;
  // Only our own bit: the other side may have been set since.
  const uint32_t bit = lock_bit(change.side);
  const uint32_t lock = buffer_lock(socket).value_or(0);
  set_buffer_lock(socket, (lock & ~bit) | (*change.old_lock & bit));
}

// At the old size, but still locked, is half an undo: ours.
Standing standing_of(int socket, const SocketBuffer& change) {
  const uint32_t bit = lock_bit(change.side);
  const bool kernel_tuned = change.old_lock && (*change.old_lock & bit) == 0;
  const uint32_t lock = change.old_lock ? buffer_lock(socket).value_or(*change.old_lock) : 0;
  if (kernel_tuned && (lock & bit) == 0) return Standing::kOld;  // of whatever size
  const uint64_t now = buffer_bytes(socket, change.side);
  const bool locked_as_before = !change.old_lock || ((lock ^ *change.old_lock) & bit) == 0;
  if (same_size(now, change.new_bytes)) return Standing::kNew;
  if (!same_size(now, change.old_bytes)) return Standing::kOthers;
  return locked_as_before ? Standing::kOld : Standing::kNew;
}

}  // namespace

SocketBuffer prepare(SocketBuffer change) {
  if (change.new_bytes == 0 || change.new_bytes > std::numeric_limits<int>::max()) {
    fail("{}: {} bytes is not a size that can be set", target_text(change), change.new_bytes);
  }
  const UniqueFd socket = find_socket(change);
  if (!socket) fail("{} is closed; it is not changed", target_text(change));
  const uint64_t now = buffer_bytes(socket.get(), change.side);
  change.old_lock = buffer_lock(socket.get());
  const bool kernel_tunes = !change.old_lock || (*change.old_lock & lock_bit(change.side)) == 0;
  if (!kernel_tunes && !same_size(now, change.old_bytes)) {
    fail("{} has {} bytes, not {}: somebody else changed it; it is left alone", target_text(change),
         now, change.old_bytes);
  }
  if (now >= change.new_bytes) {
    fail("{} has {} bytes already, at least the {} wanted", target_text(change), now,
         change.new_bytes);
  }
  change.old_bytes = now;
  return change;
}

// The journal was written since prepare(), which may have taken a while: what was true then is
// looked at again.
void perform(const SocketBuffer& change) {
  if (prepare(change).old_lock != change.old_lock) {
    fail("{}: somebody else set its size meanwhile; it is left alone", target_text(change));
  }
  const UniqueFd socket = find_socket(change);
  if (!socket) fail("{} is closed; it is not changed", target_text(change));
  set_buffer_bytes(socket.get(), change.side, change.new_bytes);
  const uint64_t now = buffer_bytes(socket.get(), change.side);
  if (same_size(now, change.new_bytes)) return;
  restore(socket.get(), change);
  fail(
      "{} became {} instead of {} bytes, and was restored; without CAP_NET_ADMIN the limit is "
      "net.core.{}mem_max",
      target_text(change), now, change.new_bytes,
      change.side == model::BufferSide::kReceive ? 'r' : 'w');
}

Standing look(const SocketBuffer& change) {
  const UniqueFd socket = find_socket(change);
  return socket ? standing_of(socket.get(), change) : Standing::kGone;
}

Undone undo(const SocketBuffer& change) {
  const UniqueFd socket = find_socket(change);
  if (!socket) return {UndoResult::kGone, "it is closed, nothing to restore"};
  const std::string sizes = fmt::format("{} -> {} bytes", change.new_bytes, change.old_bytes);
  const bool kernel_tuned = change.old_lock && (*change.old_lock & lock_bit(change.side)) == 0;
  const Standing standing = standing_of(socket.get(), change);
  // The agent died before it made the change, or after it undid it. To set the same size again may
  // take a right that we have not.
  if (standing == Standing::kOld) {
    return {UndoResult::kRestored,
            kernel_tuned ? "the kernel tunes its size again already" : sizes + " in place already"};
  }
  if (standing == Standing::kOthers) {
    return {
        UndoResult::kStoodDown,
        fmt::format("it has {} bytes, not the {} set here: somebody else changed it since; it is "
                    "left alone (it had {} before)",
                    buffer_bytes(socket.get(), change.side), change.new_bytes, change.old_bytes)};
  }
  restore(socket.get(), change);
  return {UndoResult::kRestored,
          fmt::format("{} restored{}", sizes,
                      kernel_tuned      ? ", the kernel tunes it again"
                      : change.old_lock ? ""
                                        : "; this kernel cannot be given its auto-tuning back")};
}

}  // namespace epulse::actuate
