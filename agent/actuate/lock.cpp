#include "agent/actuate/lock.hpp"

#include <sys/file.h>

#include <cerrno>
#include <chrono>
#include <thread>

namespace epulse::actuate {
namespace {

constexpr int kTries = 10;
constexpr std::chrono::milliseconds kPause{10};

}  // namespace

bool lock(int fd) {
  for (int tries = kTries; flock(fd, LOCK_EX | LOCK_NB) < 0; --tries) {
    if (errno != EWOULDBLOCK || tries == 0) return false;
    std::this_thread::sleep_for(kPause);
    errno = EWOULDBLOCK;
  }
  return true;
}

}  // namespace epulse::actuate
