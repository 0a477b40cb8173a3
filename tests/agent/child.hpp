#pragma once

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <functional>
#include <thread>

#include "agent/actuate/proc_thread.hpp"

namespace epulse {

// True as soon as `condition` is; false when it is not within ten seconds.
inline bool eventually(const std::function<bool()>& condition) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  while (!condition()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return true;
}

// A forked process that runs `body`, then waits to be killed; reaped with the object. The
// constructor returns when `body` has.
class Child {
 public:
  explicit Child(const std::function<void()>& body = [] {}) {
    int ready[2] = {-1, -1};
    EXPECT_EQ(pipe(ready), 0);
    pid_ = fork();
    EXPECT_GE(pid_, 0);
    if (pid_ == 0) {
      prctl(PR_SET_PDEATHSIG, SIGKILL);
      body();
      const char done = 1;
      if (write(ready[1], &done, 1) != 1) _exit(1);
      for (;;) pause();
    }
    close(ready[1]);
    char done = 0;
    EXPECT_EQ(read(ready[0], &done, 1), 1) << "the child failed";
    close(ready[0]);
  }
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;
  ~Child() { kill(); }

  void kill() {
    if (pid_ <= 0) return;
    ::kill(pid_, SIGKILL);
    int status = 0;
    EXPECT_EQ(waitpid(pid_, &status, 0), pid_);
    pid_ = -1;
  }

  pid_t pid() const { return pid_; }
  uint64_t start_ticks() const { return actuate::read_thread_stat(pid_, pid_).value().start_ticks; }

 private:
  pid_t pid_ = -1;
};

}  // namespace epulse
