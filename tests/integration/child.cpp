#include "tests/integration/child.hpp"

#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>

namespace epulse::test {

ChildProcess::ChildProcess(const std::function<void(void*)>& work, size_t shared_bytes)
    : shared_bytes_(shared_bytes) {
  shared_ = mmap(nullptr, shared_bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  int go[2];
  int done[2];
  if (shared_ == MAP_FAILED || pipe(go) != 0 || pipe(done) != 0) abort();
  pid_ = fork();
  if (pid_ == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    close(go[1]);
    close(done[0]);
    char token = 0;
    if (read(go[0], &token, 1) != 1) _exit(1);
    work(shared_);
    if (write(done[1], "", 1) != 1 || read(go[0], &token, 1) < 0) _exit(1);
    _exit(0);
  }
  close(go[0]);
  close(done[1]);
  go_ = go[1];
  done_ = done[0];
}

ChildProcess::~ChildProcess() {
  close(go_);
  kill(pid_, SIGKILL);
  waitpid(pid_, nullptr, 0);
  close(done_);
  munmap(shared_, shared_bytes_);
}

bool ChildProcess::work() {
  if (write(go_, "", 1) != 1) return false;
  pollfd done{done_, POLLIN, 0};
  char token = 0;
  return poll(&done, 1, 30'000) == 1 && read(done_, &token, 1) == 1;
}

uint64_t slack_ns() {
  const char* microseconds = getenv("EPULSE_SLACK_US");
  return microseconds == nullptr ? 20'000 : strtoull(microseconds, nullptr, 10) * 1000;
}

}  // namespace epulse::test
