#include "tests/integration/uring_testing.hpp"

#include <sys/syscall.h>
#include <time.h>

#include <fmt/format.h>

#include "agent/error.hpp"

namespace epulse::test {

std::string refusal;

void require(bool condition) {
  if (!condition) _exit(3);
}

void sleep_ns(uint64_t ns) {
  const timespec span{static_cast<time_t>(ns / 1'000'000'000),
                      static_cast<long>(ns % 1'000'000'000)};
  nanosleep(&span, nullptr);
}

io_uring_sqe& add_read(Ring& ring, int fd, void* buffer, uint64_t user_data) {
  io_uring_sqe& sqe = ring.add(IORING_OP_READ, user_data);
  sqe.fd = fd;
  sqe.addr = reinterpret_cast<uint64_t>(buffer);
  sqe.len = 1;
  sqe.off = ~0ULL;
  return sqe;
}

std::unique_ptr<probes::UringProbe> attach(pid_t pid, bool wait_for_rings) {
  try {
    return std::make_unique<probes::UringProbe>(
        probes::UringProbeOptions{.tgid = pid, .wait_for_rings = wait_for_rings});
  } catch (const LoadError& error) {
    // Refused to everybody but root; to root, a refusal is a failure.
    if (geteuid() == 0) throw;
    refusal = error.what();
    return nullptr;
  }
}

model::RingUserStats total(const model::UringSnapshot& snapshot) {
  const model::UringLosses& losses = snapshot.losses;
  EXPECT_FALSE(losses.any()) << losses.rings_dropped << " rings, " << losses.users_dropped
                             << " users, " << losses.requests_dropped << " requests, "
                             << losses.runs_missed << " runs";
  model::RingUserStats sum;
  for (const auto& user : snapshot.users) sum.merge(user);
  return sum;
}

model::RingUserStats total(probes::UringProbe& probe) {
  const model::UringSnapshot snapshot = probe.read();
  std::string missed;
  for (const probes::ProgramCost& cost : probe.costs()) {
    if (cost.missed != 0) missed += fmt::format("; {} missed {}", cost.name, cost.missed);
  }
  SCOPED_TRACE("programs" + missed);
  return total(snapshot);
}

void expect_counter(const model::RingUserStats& stats, uring_counter which, uint64_t expected) {
  EXPECT_EQ(stats.counters[which], expected) << model::kUringCounterNames[which];
}

void expect_each(const model::Histogram& histogram, uint64_t rounds, uint64_t value,
                 const char* what) {
  EXPECT_EQ(histogram.count(), rounds) << what;
  EXPECT_EQ(histogram.sum(), rounds * value) << what;
  EXPECT_EQ(histogram.quantile(0), value) << what;
  EXPECT_EQ(histogram.max(), value) << what;
}

unsigned setup_flags(Mode mode) {
  if (mode == Mode::kDefer) return IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN;
  return mode == Mode::kSqpoll ? IORING_SETUP_SQPOLL : 0;
}

uint8_t sqe_flags(Mode mode) {
  return mode == Mode::kWorkers ? IOSQE_ASYNC : 0;
}

std::string mode_name(Mode mode) {
  switch (mode) {
    case Mode::kPlain:
      return "Plain";
    case Mode::kDefer:
      return "Defer";
    case Mode::kSqpoll:
      return "Sqpoll";
    default:
      return "Workers";
  }
}

bool refuses(Mode mode) {
  io_uring_params params{};
  params.flags = setup_flags(mode);
  const long fd = syscall(SYS_io_uring_setup, 1, &params);
  if (fd >= 0) close(static_cast<int>(fd));
  return fd < 0;
}

}  // namespace epulse::test
