#include "server/engine/uring/ring.hpp"

#include <sched.h>
#include <sys/resource.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <memory>
#include <string>

#include "server/engine/uring/abi.hpp"
#include "server/error.hpp"

namespace epulse::server::uring {
namespace {

constexpr unsigned kMaxFiles = 1U << 20U;  // IORING_MAX_FIXED_FILES

// SUBMIT_ALL: an entry that the kernel refuses completes with its error and holds up no other.
constexpr unsigned kSetupFlags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN |
                                 IORING_SETUP_SUBMIT_ALL | IORING_SETUP_CQSIZE | IORING_SETUP_CLAMP;

constexpr const char* kTooOld = "this kernel is too old, Linux 6.8 is needed";

rlim_t limit(__rlimit_resource resource) {
  rlimit value{};
  return getrlimit(resource, &value) == 0 ? value.rlim_cur : 0;
}

// Who forbids it. The kernel says EPERM for all of them.
std::string why_forbidden() {
  int disabled = 0;
  std::ifstream("/proc/sys/kernel/io_uring_disabled") >> disabled;
  if (disabled == 2) return "the sysctl kernel.io_uring_disabled is 2, which forbids it to all";
  if (disabled == 1) {
    return "the sysctl kernel.io_uring_disabled is 1, which allows it to CAP_SYS_ADMIN and the "
           "group of kernel.io_uring_group only";
  }
  return "a policy forbids it (the seccomp filter of a container, or a security module)";
}

std::string why_not(int code) {
  switch (code) {
    case EPERM:
    case EACCES:
      return why_forbidden();
    case ENOSYS:
      return "this kernel has none, or a seccomp filter hides it";
    case EINVAL:  // Flags of the set-up that it does not know.
      return kTooOld;
    case ENOMEM:
      return fmt::format(
          "out of memory, or of the locked memory that we may have ({} KiB); raise "
          "ulimit -l",
          limit(RLIMIT_MEMLOCK) / 1024);
    case EMFILE:
    case ENFILE:
      return errno_text(code) + "; raise ulimit -n";
    default:
      return errno_text(code);
  }
}

// That one came last of all we use.
bool has_fixed_fd_install(io_uring& ring) {
  const std::unique_ptr<io_uring_probe, decltype(&io_uring_free_probe)> probe(
      io_uring_get_probe_ring(&ring), io_uring_free_probe);
  return probe && io_uring_opcode_supported(probe.get(), abi::kFixedFdInstall) != 0;
}

[[noreturn]] void fail_lost() {
  fail("out of memory: the kernel lost completions, so the state of connections is unknown");
}

unsigned files_allowed() {
  return static_cast<unsigned>(std::min<rlim_t>(limit(RLIMIT_NOFILE), kMaxFiles));
}

}  // namespace

Ring::Ring(const RingOptions& options) {
  io_uring_params params{};
  params.flags = kSetupFlags;
  params.cq_entries = options.completions;
  if (const int result = io_uring_queue_init_params(options.submissions, &ring_, &params);
      result != 0) {
    fail("no io_uring: {}", why_not(-result));
  }
  try {
    set_up(options);
  } catch (...) {
    io_uring_queue_exit(&ring_);
    throw;
  }
}

Ring::~Ring() {
  io_uring_queue_exit(&ring_);
}

void Ring::set_up(const RingOptions& options) {
  if (!has_fixed_fd_install(ring_)) fail("no io_uring: {}", kTooOld);
  files_ = options.files == 0 ? files_allowed() : options.files;
  if (const int result = io_uring_register_files_sparse(&ring_, files_); result != 0) {
    fail("no io_uring: no table of {} files: {}", files_, why_not(-result));
  }
  // Saves a look-up for each call; without it all works as well.
  if (io_uring_register_ring_fd(&ring_) == 1) enter_flags_ |= IORING_ENTER_REGISTERED_RING;
  // Waiting for messages is being idle, not waiting for a disk.
  if ((ring_.features & abi::kFeatureNoIowait) != 0) enter_flags_ |= abi::kEnterNoIowait;
}

io_uring_sqe& Ring::next() {
  io_uring_sqe* entry = io_uring_get_sqe(&ring_);
  if (entry == nullptr) {
    submit();
    entry = io_uring_get_sqe(&ring_);
  }
  std::memset(entry, 0, sizeof *entry);
  return *entry;
}

void Ring::submit_and_wait(unsigned completions, std::uint64_t timeout_ns) {
  constexpr std::uint64_t kSecondNs = 1'000'000'000;
  __kernel_timespec timeout{static_cast<std::int64_t>(timeout_ns / kSecondNs),
                            static_cast<std::int64_t>(timeout_ns % kSecondNs)};
  io_uring_getevents_arg argument{};
  argument.ts = reinterpret_cast<std::uint64_t>(&timeout);
  enter(completions, IORING_ENTER_GETEVENTS | IORING_ENTER_EXT_ARG, {&argument, sizeof argument});
}

void Ring::enter(unsigned wanted, unsigned flags, Argument argument) {
  io_uring_smp_store_release(ring_.sq.ktail, ring_.sq.sqe_tail);
  while (true) {
    const unsigned pending = ring_.sq.sqe_tail - io_uring_smp_load_acquire(ring_.sq.khead);
    if (pending == 0 && (flags & IORING_ENTER_GETEVENTS) == 0) return;
    const int result = io_uring_enter2(static_cast<unsigned>(ring_.enter_ring_fd), pending, wanted,
                                       flags | enter_flags_,
                                       static_cast<sigset_t*>(argument.pointer), argument.bytes);
    // Fewer than there were: no memory for more of them, and the kernel has not waited, either.
    if (*ring_.cq.koverflow != 0) fail_lost();
    if (result >= 0 && static_cast<unsigned>(result) < pending) continue;
    if (result >= 0) return;
    switch (-result) {
      case EINTR:  // A signal while it waited; what was to be submitted would have been returned.
      case ETIME:  // The time has passed; likewise.
        return;
      case EAGAIN:
      case ENOMEM:  // No memory for a request: without it nothing can be done, so try again.
        sched_yield();
        continue;
      case EBADR:
        fail_lost();
      default:  // EBADF, EFAULT, EINVAL, ...: our own mistake.
        fail("cannot wait for completions: {}", errno_text(-result));
    }
  }
}

bool Ring::overflowed() const {
  return io_uring_cq_has_overflow(&ring_);
}

// The kernel moves what overflowed into the queue when it is asked for completions.
void Ring::flush_overflow() {
  ++overflows_;
  io_uring_enter2(static_cast<unsigned>(ring_.enter_ring_fd), 0, 0,
                  IORING_ENTER_GETEVENTS | enter_flags_, nullptr, _NSIG / 8);
}

}  // namespace epulse::server::uring
