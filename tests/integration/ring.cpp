#include "tests/integration/ring.hpp"

#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace epulse::test {
namespace {

void require(bool condition, const char* what) {
  if (condition) return;
  std::perror(what);
  _exit(4);
}

}  // namespace

Ring::Ring(unsigned entries, unsigned setup_flags, unsigned cq_entries) {
  params_.flags = setup_flags | (cq_entries == 0 ? 0 : IORING_SETUP_CQSIZE);
  params_.cq_entries = cq_entries;
  params_.sq_thread_idle = 50;
  fd_ = static_cast<int>(syscall(SYS_io_uring_setup, entries, &params_));
  require(fd_ >= 0, "io_uring_setup");
  rings_bytes_ = std::max(params_.sq_off.array + params_.sq_entries * sizeof(unsigned),
                          params_.cq_off.cqes + params_.cq_entries * sizeof(io_uring_cqe));
  void* rings = mmap(nullptr, rings_bytes_, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd_,
                     IORING_OFF_SQ_RING);
  void* sqes = mmap(nullptr, params_.sq_entries * sizeof(io_uring_sqe), PROT_READ | PROT_WRITE,
                    MAP_SHARED | MAP_POPULATE, fd_, IORING_OFF_SQES);
  require(rings != MAP_FAILED && sqes != MAP_FAILED, "mmap");
  rings_ = static_cast<char*>(rings);
  sqes_ = static_cast<io_uring_sqe*>(sqes);
}

Ring::~Ring() {
  munmap(sqes_, params_.sq_entries * sizeof(io_uring_sqe));
  munmap(rings_, rings_bytes_);
  close(fd_);
}

io_uring_sqe& Ring::add(uint8_t opcode, uint64_t user_data) {
  const unsigned mask = params_.sq_entries - 1;
  const unsigned place = (*at<unsigned>(params_.sq_off.tail) + added_++) & mask;
  at<unsigned>(params_.sq_off.array)[place] = place;
  io_uring_sqe& sqe = sqes_[place];
  memset(&sqe, 0, sizeof(sqe));
  sqe.opcode = opcode;
  sqe.user_data = user_data;
  return sqe;
}

void Ring::add_bad_index() {
  const unsigned place = (*at<unsigned>(params_.sq_off.tail) + added_++) & (params_.sq_entries - 1);
  at<unsigned>(params_.sq_off.array)[place] = params_.sq_entries;
}

unsigned Ring::publish() {
  auto* tail = at<unsigned>(params_.sq_off.tail);
  __atomic_store_n(tail, *tail + added_, __ATOMIC_RELEASE);
  const unsigned published = added_;
  added_ = 0;
  return published;
}

int Ring::enter(unsigned submit, unsigned wait_for, unsigned flags) {
  const int fd = registered_ >= 0 ? registered_ : fd_;
  if (registered_ >= 0) flags |= IORING_ENTER_REGISTERED_RING;
  const long result = syscall(SYS_io_uring_enter, fd, submit, wait_for, flags, nullptr, 0);
  return result < 0 ? -errno : static_cast<int>(result);
}

void Ring::submit_and_wait(unsigned wait_for) {
  const unsigned submit = publish();
  const int submitted = enter(submit, wait_for, IORING_ENTER_GETEVENTS);
  require(submitted == static_cast<int>(submit), "io_uring_enter");
}

void Ring::publish_and_wake() {
  publish();
  __atomic_thread_fence(__ATOMIC_SEQ_CST);
  const unsigned flags = __atomic_load_n(at<unsigned>(params_.sq_off.flags), __ATOMIC_ACQUIRE);
  if ((flags & IORING_SQ_NEED_WAKEUP) != 0) {
    require(enter(1, 0, IORING_ENTER_SQ_WAKEUP) >= 0, "io_uring_enter");
  }
}

bool Ring::taken() const {
  return __atomic_load_n(at<unsigned>(params_.sq_off.head), __ATOMIC_ACQUIRE) ==
         *at<unsigned>(params_.sq_off.tail);
}

bool Ring::register_descriptor() {
  io_uring_rsrc_update update{};
  update.offset = ~0U;
  update.data = static_cast<__u64>(fd_);
  if (syscall(SYS_io_uring_register, fd_, IORING_REGISTER_RING_FDS, &update, 1) != 1) return false;
  registered_ = static_cast<int>(update.offset);
  return true;
}

unsigned Ring::ready() const {
  return __atomic_load_n(at<unsigned>(params_.cq_off.tail), __ATOMIC_ACQUIRE) - head();
}

const io_uring_cqe& Ring::cqe(unsigned index) const {
  return at<io_uring_cqe>(params_.cq_off.cqes)[(head() + index) & (params_.cq_entries - 1)];
}

void Ring::reap(unsigned count) {
  set_head(head() + count);
}

void Ring::set_head(unsigned head) {
  __atomic_store_n(at<unsigned>(params_.cq_off.head), head, __ATOMIC_RELEASE);
}

unsigned Ring::head() const {
  return *at<unsigned>(params_.cq_off.head);
}

}  // namespace epulse::test
