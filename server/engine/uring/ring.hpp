#pragma once

#include <liburing.h>

#include <csignal>
#include <cstddef>
#include <cstdint>

#include "server/engine/uring/options.hpp"

namespace epulse::server::uring {

// What became of a request.
struct Completion {
  std::uint64_t tag = 0;
  std::int32_t result = 0;  // negative: -errno
  std::uint32_t flags = 0;

  // Whether the request goes on.
  bool more() const { return (flags & IORING_CQE_F_MORE) != 0; }
  // Of a zero-copy send that has completed: the kernel has done with its memory.
  bool notifies() const { return (flags & IORING_CQE_F_NOTIF) != 0; }
  bool has_buffer() const { return (flags & IORING_CQE_F_BUFFER) != 0; }
  std::uint32_t buffer() const { return flags >> IORING_CQE_BUFFER_SHIFT; }
};

// An io_uring that one thread makes, submits to and reads from, with a table of files whose places
// the kernel gives out. Work is done, and completions come, only inside submit_and_wait() and
// collect() (IORING_SETUP_DEFER_TASKRUN).
class Ring {
 public:
  // Throws Error, which says why this host does not let us.
  explicit Ring(const RingOptions& options);
  Ring(const Ring&) = delete;
  Ring& operator=(const Ring&) = delete;
  ~Ring();

  io_uring* get() { return &ring_; }
  unsigned files() const { return files_; }

  // An entry for the next submission, all zero. Submits when there is no room.
  io_uring_sqe& next();

  // Returns when the kernel has taken all entries. What cannot wait is done by then.
  void submit() { enter(0, 0, {}); }

  // Likewise, and waits for so many completions; a signal cuts the wait short.
  void submit_and_wait(unsigned completions) { enter(completions, IORING_ENTER_GETEVENTS, {}); }
  // At most so long.
  void submit_and_wait(unsigned completions, std::uint64_t timeout_ns);

  // Hands out every completion there is, in the order in which the kernel made them, also those
  // that did not fit into the queue.
  template <typename Each>
  void collect(Each&& each) {
    drain(each);
    while (overflowed()) {
      flush_overflow();
      drain(each);
    }
  }

  // How often completions did not fit into the queue.
  std::uint64_t overflows() const { return overflows_; }

 private:
  template <typename Each>
  void drain(Each&& each) {
    unsigned head = *ring_.cq.khead;
    const unsigned tail = io_uring_smp_load_acquire(ring_.cq.ktail);
    for (; head != tail; ++head) {
      const io_uring_cqe& entry = ring_.cq.cqes[head & ring_.cq.ring_mask];
      each(Completion{entry.user_data, entry.res, entry.flags});
    }
    io_uring_smp_store_release(ring_.cq.khead, head);
  }

  void set_up(const RingOptions& options);
  // What io_uring_enter() takes in its last two places.
  struct Argument {
    void* pointer = nullptr;
    std::size_t bytes = _NSIG / 8;
  };
  void enter(unsigned wanted, unsigned flags, Argument argument);
  bool overflowed() const;
  void flush_overflow();

  io_uring ring_{};
  unsigned files_ = 0;
  unsigned enter_flags_ = 0;
  std::uint64_t overflows_ = 0;
};

}  // namespace epulse::server::uring
