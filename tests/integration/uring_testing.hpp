// What the tests of the io_uring probe share: children with rings, the probe on them, what it says.
#pragma once

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <memory>
#include <string>

#include "agent/probes/uring_probe.hpp"
#include "tests/integration/child.hpp"
#include "tests/integration/ring.hpp"

namespace epulse::test {

inline constexpr int kRounds = 13;
inline constexpr uint64_t kDelayNs = 20'000'000;

// Inside a child, a failed check ends it: the parent sees work() fail.
void require(bool condition);

void sleep_ns(uint64_t ns);

// Sockets, since reading an empty pipe goes through io-wq up to 6.3.
struct Pipe {
  Pipe() {
    int fds[2];
    require(socketpair(AF_UNIX, SOCK_STREAM, 0, fds) == 0);
    read_end = fds[0];
    write_end = fds[1];
  }
  void put(size_t bytes = 1) const {
    require(write(write_end, std::string(bytes, 'x').data(), bytes) == static_cast<ssize_t>(bytes));
  }
  void take() const {
    char byte = 0;
    require(read(read_end, &byte, 1) == 1);
  }
  int read_end;
  int write_end;
};

io_uring_sqe& add_read(Ring& ring, int fd, void* buffer, uint64_t user_data = 0);

extern std::string refusal;  // why the last attach() had no probe

// nullptr when the kernel refuses, which it may to all but root.
std::unique_ptr<probes::UringProbe> attach(pid_t pid, bool wait_for_rings = false);

#define ATTACH_OR_SKIP(probe, ...)        \
  const auto probe = attach(__VA_ARGS__); \
  if (!probe) GTEST_SKIP() << "no io_uring probe: " << refusal

// Of all threads; a loss of the probe's is a failure.
model::RingUserStats total(const model::UringSnapshot& snapshot);
model::RingUserStats total(probes::UringProbe& probe);

void expect_counter(const model::RingUserStats& stats, uring_counter which, uint64_t expected);

// Of `rounds` equal values.
void expect_each(const model::Histogram& histogram, uint64_t rounds, uint64_t value,
                 const char* what);

enum class Mode { kPlain, kDefer, kSqpoll, kWorkers };

unsigned setup_flags(Mode mode);

uint8_t sqe_flags(Mode mode);

std::string mode_name(Mode mode);

// Kernels before 6.1 refuse DEFER_TASKRUN.
bool refuses(Mode mode);

#define SKIP_IF_REFUSED(mode) \
  if (refuses(mode)) GTEST_SKIP() << "this kernel has no such rings"

}  // namespace epulse::test
