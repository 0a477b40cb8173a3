#pragma once

#include <linux/io_uring.h>

#include <cstdint>

namespace epulse::test {

// An io_uring by its system calls alone, so that a test knows exactly what the kernel is asked, and
// when. Ends the process when the kernel refuses.
class Ring {
 public:
  explicit Ring(unsigned entries, unsigned setup_flags = 0, unsigned cq_entries = 0);
  ~Ring();
  Ring(const Ring&) = delete;
  Ring& operator=(const Ring&) = delete;

  // The next SQE, cleared. Not the kernel's before submit().
  io_uring_sqe& add(uint8_t opcode, uint64_t user_data = 0);
  // As add(), but its place in the SQ names an SQE that does not exist.
  void add_bad_index();
  // Moves the tail past what was added. Returns how many.
  unsigned publish();

  // io_uring_enter; returns what it returns, or -errno.
  int enter(unsigned submit, unsigned wait_for, unsigned flags);
  // Publishes, submits and waits until `wait_for` CQEs are there.
  void submit_and_wait(unsigned wait_for);
  // SQPOLL: publishes, and wakes the kernel's thread when it sleeps.
  void publish_and_wake();
  // The kernel has taken all that was published.
  bool taken() const;
  void wait(unsigned wait_for) { submit_and_wait(wait_for); }
  // From now on enter() names the ring by a registered index. False when the kernel knows no such.
  bool register_descriptor();

  unsigned ready() const;
  const io_uring_cqe& cqe(unsigned index) const;
  void reap(unsigned count);
  void set_head(unsigned head);
  unsigned head() const;
  int fd() const { return fd_; }

 private:
  int fd_;
  int registered_ = -1;
  unsigned added_ = 0;
  io_uring_params params_{};
  char* rings_ = nullptr;
  unsigned long rings_bytes_ = 0;
  io_uring_sqe* sqes_ = nullptr;
  template <typename T>
  T* at(unsigned offset) const {
    return reinterpret_cast<T*>(rings_ + offset);
  }
};

}  // namespace epulse::test
