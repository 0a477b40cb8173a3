#include "tools/load/processes.hpp"

#include <fmt/format.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <exception>

#include "tools/load/error.hpp"

namespace epulse::load {
namespace {

constexpr int kFailedStatus = 2;
constexpr useconds_t kLookAroundUs = 5'000;

std::string end_text(int status) {
  if (WIFSIGNALED(status)) return fmt::format("by signal {}", WTERMSIG(status));
  return fmt::format("with status {}", WEXITSTATUS(status));
}

}  // namespace

Processes::~Processes() {
  for (const pid_t pid : running_) kill(pid, SIGKILL);
  for (const pid_t pid : running_) waitpid(pid, nullptr, 0);
}

void Processes::start(const std::function<void()>& work) {
  const pid_t parent = getpid();
  const pid_t pid = fork();
  if (pid < 0) {
    fail("cannot start another process: {}; use fewer --processes or raise ulimit -u",
         errno_text(errno));
  }
  if (pid != 0) return running_.push_back(pid);
  int status = 0;
  try {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) std::_Exit(kFailedStatus);  // It has ended already.
    work();
  } catch (const std::exception& error) {
    fmt::print(stderr, "epulse-load: {}\n", error.what());
    status = kFailedStatus;
  }
  // Not exit(): what this one's parent has open and has not written yet is not to be written twice.
  std::_Exit(status);
}

void Processes::check() {
  reap();
}

void Processes::join() {
  // Not one after the other: those that are left may wait for one that died.
  for (reap(); !running_.empty(); reap()) usleep(kLookAroundUs);
}

void Processes::reap() {
  for (std::size_t k = 0; k < running_.size();) {
    int status = 0;
    const pid_t pid = waitpid(running_[k], &status, WNOHANG);
    if (pid != running_[k]) {
      ++k;  // It runs on.
      continue;
    }
    running_.erase(running_.begin() + static_cast<std::ptrdiff_t>(k));
    if (status == 0) continue;
    // Without its share of the load the figures would mean nothing.
    fail(
        "a process of the load (pid {}) ended early, {}; is there a line of its own above, or "
        "does the kernel's log say why?",
        pid, end_text(status));
  }
}

}  // namespace epulse::load
