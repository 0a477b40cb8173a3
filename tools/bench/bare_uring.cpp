// The least that an echo on io_uring can do: multishot accept and recv into one ring of buffers
// that the kernel uses up bit by bit, answers sent from where they were received, one enter per
// turn, no completion for a send that went well. What epulse-ws's io_uring engine is held to.
#include <liburing.h>
#include <sys/mman.h>

#include <array>
#include <span>
#include <vector>

#include "tools/bench/bare.hpp"
#include "tools/bench/uring_newer.hpp"

namespace epulse::bench {
namespace {

constexpr unsigned kSubmissions = 4096;
constexpr unsigned kCompletions = 16384;
constexpr unsigned kConnections = 16384;
// About the size of an L2 cache: the next input lands where an earlier one still is.
constexpr unsigned kBuffers = 16;
constexpr std::size_t kBufferBytes = std::size_t{64} * 1024;
constexpr std::uint16_t kGroup = 0;

std::uint8_t* map_memory(std::size_t bytes) {
  void* memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) give_up("map memory for buffers", errno);
  return static_cast<std::uint8_t*>(memory);
}

// What is received by all connections lies in these, one after the other in order of arrival.
class Buffers {
 public:
  explicit Buffers(const io_uring& ring)
      : entries_(reinterpret_cast<io_uring_buf_ring*>(map_memory(kBuffers * sizeof(io_uring_buf)))),
        memory_(map_memory(kBuffers * kBufferBytes)) {
    const int code =
        register_buffer_ring(ring, {.ring_address = reinterpret_cast<std::uintptr_t>(entries_),
                                    .entries = kBuffers,
                                    .group = kGroup,
                                    .flags = kPbufRingInc});
    if (code != 0) give_up("register incremental buffers (Linux 6.12)", code);
    io_uring_buf_ring_init(entries_);
    for (unsigned k = 0; k < kBuffers; ++k) used_up_.push_back(static_cast<std::uint16_t>(k));
    give_back();
  }

  // Where a completed recv has put its bytes; the kernel's again after the next give_back().
  std::span<const std::uint8_t> take(const io_uring_cqe& cqe) {
    if ((cqe.flags & IORING_CQE_F_BUFFER) == 0) return {};
    const auto buffer = static_cast<std::uint16_t>(cqe.flags >> IORING_CQE_BUFFER_SHIFT);
    const std::size_t bytes = cqe.res > 0 ? static_cast<std::size_t>(cqe.res) : 0;
    const std::span taken(memory_ + buffer * kBufferBytes + filled_[buffer], bytes);
    filled_[buffer] += bytes;
    if ((cqe.flags & kCqeBufMore) == 0) used_up_.push_back(buffer);
    return taken;
  }

  void give_back() {
    for (std::size_t k = 0; k < used_up_.size(); ++k) {
      filled_[used_up_[k]] = 0;
      io_uring_buf_ring_add(entries_, memory_ + used_up_[k] * kBufferBytes, kBufferBytes,
                            used_up_[k], io_uring_buf_ring_mask(kBuffers), static_cast<int>(k));
    }
    io_uring_buf_ring_advance(entries_, static_cast<int>(used_up_.size()));
    used_up_.clear();
  }

 private:
  io_uring_buf_ring* entries_;
  std::uint8_t* memory_;
  std::array<std::size_t, kBuffers> filled_{};
  std::vector<std::uint16_t> used_up_;
};

io_uring make_ring() {
  io_uring ring{};
  io_uring_params params{};
  params.flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_CQSIZE |
                 IORING_SETUP_SUBMIT_ALL;
  params.cq_entries = kCompletions;
  const int code = io_uring_queue_init_params(kSubmissions, &ring, &params);
  if (code < 0) give_up("create an io_uring (Linux 6.1, not forbidden)", -code);
  const int files = io_uring_register_files_sparse(&ring, kConnections);
  if (files < 0) give_up("register a table of files", -files);
  io_uring_register_ring_fd(&ring);  // Saves a look-up per enter; goes without, too.
  return ring;
}

class Echo {
 public:
  explicit Echo(int listener) : listener_(listener), ring_(make_ring()), buffers_(ring_) {
    accept();
  }

  [[noreturn]] void run() {
    while (true) {
      const int code = io_uring_submit_and_wait(&ring_, 1);
      if (code < 0 && code != -EINTR) give_up("enter the ring", -code);
      buffers_.give_back();  // What was to be sent from them has been.
      for (const int connection : starved_) receive(connection);
      starved_.clear();
      io_uring_cqe* cqe = nullptr;
      unsigned head = 0;
      unsigned seen = 0;
      io_uring_for_each_cqe(&ring_, head, cqe) {
        complete(*cqe);
        ++seen;
      }
      io_uring_cq_advance(&ring_, seen);
    }
  }

 private:
  enum class Op : std::uint32_t { kAccept, kReceive, kSend, kClose };

  void complete(const io_uring_cqe& cqe) {
    const auto connection = static_cast<int>(cqe.user_data & 0xFFFF'FFFF);
    switch (static_cast<Op>(cqe.user_data >> 32U)) {
      case Op::kAccept:
        if (cqe.res < 0) give_up("accept a connection", -cqe.res);
        receive(cqe.res);
        if ((cqe.flags & IORING_CQE_F_MORE) == 0) accept();
        return;
      case Op::kReceive:
        return received(cqe, connection);
      case Op::kSend:  // Failed or short. An error ends the recv, too.
        if (cqe.res >= 0 || cqe.res == -EAGAIN) give_up("send all of an echo", EAGAIN);
        return;
      case Op::kClose:
        give_up("close a connection", -cqe.res);
    }
  }

  void received(const io_uring_cqe& cqe, int connection) {
    const std::span<const std::uint8_t> input = buffers_.take(cqe);
    if (cqe.res > 0) send(connection, input);
    if ((cqe.flags & IORING_CQE_F_MORE) != 0) return;
    if (cqe.res > 0) return receive(connection);
    if (cqe.res != -ENOBUFS) return close(connection);
    starved_.push_back(connection);  // until the answers of this turn have left
  }

  void accept() {
    io_uring_sqe* sqe = next();
    io_uring_prep_multishot_accept_direct(sqe, listener_, nullptr, nullptr, 0);
    mark(sqe, Op::kAccept, 0, 0);
  }

  void receive(int connection) {
    io_uring_sqe* sqe = next();
    io_uring_prep_recv_multishot(sqe, connection, nullptr, 0, 0);
    sqe->buf_group = kGroup;
    mark(sqe, Op::kReceive, connection, IOSQE_FIXED_FILE | IOSQE_BUFFER_SELECT);
  }

  void send(int connection, std::span<const std::uint8_t> bytes) {
    io_uring_sqe* sqe = next();
    io_uring_prep_send(sqe, connection, bytes.data(), bytes.size(),
                       MSG_DONTWAIT | MSG_WAITALL | MSG_NOSIGNAL);
    mark(sqe, Op::kSend, connection, IOSQE_FIXED_FILE | IOSQE_CQE_SKIP_SUCCESS);
  }

  void close(int connection) {
    io_uring_sqe* sqe = next();
    io_uring_prep_close_direct(sqe, static_cast<unsigned>(connection));
    mark(sqe, Op::kClose, connection, IOSQE_CQE_SKIP_SUCCESS);
  }

  io_uring_sqe* next() {
    io_uring_sqe* sqe = io_uring_get_sqe(&ring_);
    if (sqe != nullptr) return sqe;
    io_uring_submit(&ring_);
    return io_uring_get_sqe(&ring_);
  }

  static void mark(io_uring_sqe* sqe, Op op, int connection, unsigned flags) {
    io_uring_sqe_set_flags(sqe, flags);
    io_uring_sqe_set_data64(sqe, std::uint64_t{static_cast<std::uint32_t>(op)} << 32U |
                                     static_cast<std::uint32_t>(connection));
  }

  int listener_;
  io_uring ring_;
  Buffers buffers_;
  std::vector<int> starved_;  // whose recv found no buffer
};

}  // namespace
}  // namespace epulse::bench

int main(int argc, char** argv) {
  epulse::bench::Echo(epulse::bench::listen_on(argc, argv)).run();
}
