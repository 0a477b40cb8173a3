#include "server/engine/uring/requests.hpp"

#include <poll.h>

#include "server/engine/uring/abi.hpp"

namespace epulse::server::uring {
namespace {

// With MSG_WAITALL a short send is a failure, so that it completes although success is skipped;
// with MSG_DONTWAIT the kernel does not wait for the rest (io_send() and io_queue_async() in
// io_uring/: REQ_F_NOWAIT fails the request, and the result is what was sent).
constexpr int kSendFlags = MSG_DONTWAIT | MSG_WAITALL | MSG_NOSIGNAL;

// A completion always comes (io_send_zc_prep() takes no IOSQE_CQE_SKIP_SUCCESS).
constexpr int kZeroCopyFlags = MSG_DONTWAIT | MSG_NOSIGNAL;

constexpr linger kReset{1, 0};

int file(ConnId id) {
  return static_cast<int>(id.slot);
}

void on_connection(io_uring_sqe& entry, Kind kind, ConnId id) {
  entry.flags |= IOSQE_FIXED_FILE;
  entry.user_data = tag(kind, id);
}

void quiet(io_uring_sqe& entry) {
  entry.flags |= IOSQE_CQE_SKIP_SUCCESS;
}

// io_uring_cmd_sock() in io_uring/uring_cmd.c; the option's fields overlay those of other requests.
void socket_command(io_uring_sqe& entry, std::uint32_t operation, ConnId id) {
  entry.opcode = IORING_OP_URING_CMD;
  entry.fd = file(id);
  entry.cmd_op = operation;
}

}  // namespace

void accept(io_uring_sqe& entry, int listen_fd, bool many) {
  io_uring_prep_accept(&entry, listen_fd, nullptr, nullptr, 0);
  if (many) entry.ioprio |= IORING_ACCEPT_MULTISHOT;
  entry.file_index = IORING_FILE_INDEX_ALLOC;
  entry.user_data = tag(Kind::kAccept);
}

void poll(io_uring_sqe& entry, Kind kind, int fd, short events, bool many) {
  io_uring_prep_poll_add(&entry, fd, static_cast<unsigned>(events));
  if (many) entry.len = IORING_POLL_ADD_MULTI;
  entry.user_data = tag(kind);
}

void tick(io_uring_sqe& entry, const __kernel_timespec& interval) {
  entry.opcode = IORING_OP_TIMEOUT;
  entry.fd = -1;
  entry.addr = reinterpret_cast<std::uint64_t>(&interval);
  entry.len = 1;
  entry.timeout_flags = abi::kTimeoutMultishot;
  entry.user_data = tag(Kind::kTick);
}

void place(io_uring_sqe& entry, int& socket) {
  io_uring_prep_files_update(&entry, &socket, 1, static_cast<int>(IORING_FILE_INDEX_ALLOC));
  entry.user_data = tag(Kind::kPlaced);
}

void await_connected(io_uring_sqe& entry, ConnId id) {
  io_uring_prep_poll_add(&entry, file(id), POLLOUT);
  on_connection(entry, Kind::kConnected, id);
}

void receive(io_uring_sqe& entry, ConnId id, std::uint16_t buffer_group) {
  io_uring_prep_recv_multishot(&entry, file(id), nullptr, 0, 0);
  entry.flags |= IOSQE_BUFFER_SELECT;
  entry.buf_group = buffer_group;
  on_connection(entry, Kind::kReceive, id);
}

void send(io_uring_sqe& entry, ConnId id, Part bytes, bool skip_success) {
  io_uring_prep_send(&entry, file(id), bytes.data(), bytes.size(), kSendFlags);
  on_connection(entry, Kind::kSend, id);
  if (skip_success) quiet(entry);
}

void send(io_uring_sqe& entry, ConnId id, const msghdr& message, bool skip_success) {
  io_uring_prep_sendmsg(&entry, file(id), &message, kSendFlags);
  on_connection(entry, Kind::kSend, id);
  if (skip_success) quiet(entry);
}

void send_zero_copy(io_uring_sqe& entry, ConnId id, const msghdr& message, std::uint32_t number) {
  io_uring_prep_sendmsg(&entry, file(id), &message, kZeroCopyFlags);
  entry.opcode = abi::kSendmsgZeroCopy;
  entry.ioprio = abi::kReportUsage;
  on_connection(entry, Kind::kZeroCopy, id);
  entry.user_data = zero_copy_tag(number);
}

void await_writable(io_uring_sqe& entry, ConnId id) {
  io_uring_prep_poll_multishot(&entry, file(id), POLLOUT);
  on_connection(entry, Kind::kWritable, id);
}

void unsent(io_uring_sqe& entry, ConnId id) {
  socket_command(entry, abi::kSocketUnsent, id);
  on_connection(entry, Kind::kUnsent, id);
}

void install(io_uring_sqe& entry, Kind kind, ConnId id) {
  entry.opcode = abi::kFixedFdInstall;
  entry.fd = file(id);
  on_connection(entry, kind, id);
}

void cancel(io_uring_sqe& entry, std::uint64_t tag) {
  io_uring_prep_cancel64(&entry, tag, 0);
  entry.user_data = uring::tag(Kind::kQuiet);  // ENOENT: it completed by itself.
  quiet(entry);
}

void reset_on_close(io_uring_sqe& entry, ConnId id) {
  socket_command(entry, abi::kSocketSetOption, id);
  entry.addr = SOL_SOCKET | std::uint64_t{SO_LINGER} << 32U;  // level, optname
  entry.file_index = sizeof kReset;                           // optlen
  entry.addr3 = reinterpret_cast<std::uint64_t>(&kReset);     // optval
  on_connection(entry, Kind::kQuiet, id);
  quiet(entry);
}

void close(io_uring_sqe& entry, ConnId id) {
  io_uring_prep_close_direct(&entry, id.slot);
  entry.user_data = tag(Kind::kQuiet, id);
  quiet(entry);
}

}  // namespace epulse::server::uring
