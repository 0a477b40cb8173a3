#include "tools/cli/watch.hpp"

#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <cmath>

#include "agent/error.hpp"

namespace epulse::cli {

Watch::Watch() {
  sigemptyset(&blocked_);
  block({SIGINT, SIGTERM});
  timer_ = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
  if (timer_ < 0) fail("cannot create a timer: {}", errno_text(errno));
}

void Watch::block(std::initializer_list<int> numbers) {
  for (const int number : numbers) sigaddset(&blocked_, number);
  sigprocmask(SIG_BLOCK, &blocked_, nullptr);
  signals_ = signalfd(signals_, &blocked_, SFD_CLOEXEC | SFD_NONBLOCK);
  if (signals_ < 0) fail("cannot wait for signals: {}", errno_text(errno));
}

void Watch::start(double interval_s) {
  const double whole = std::floor(interval_s);
  const timespec period{static_cast<time_t>(whole),
                        static_cast<long>(std::round((interval_s - whole) * 1e9))};
  const itimerspec spec{period, period};
  timerfd_settime(timer_, 0, &spec, nullptr);
}

Watch::~Watch() {
  close(signals_);
  close(timer_);
  for (int i = 0; i < process_count_; ++i) close(processes_[i]);
}

void Watch::add_process(pid_t pid) {
  const auto fd = static_cast<int>(syscall(SYS_pidfd_open, pid, 0));
  if (fd < 0) fail("cannot watch process {}: {}", pid, errno_text(errno));
  processes_[process_count_++] = fd;
}

void Watch::add_descriptor(int fd, std::function<void()> ready) {
  descriptor_ = fd;
  ready_ = std::move(ready);
}

void Watch::add_terminal(int input) {
  terminal_ = input;
  block({SIGHUP, SIGQUIT, SIGWINCH, SIGTSTP});
}

Watch::Event Watch::read_signal() const {
  signalfd_siginfo info{};
  if (read(signals_, &info, sizeof(info)) != sizeof(info)) return Event::kInterrupted;
  if (info.ssi_signo == SIGWINCH) return Event::kResized;
  return info.ssi_signo == SIGTSTP ? Event::kSuspend : Event::kInterrupted;
}

Watch::Event Watch::next() {
  for (;;) {
    pollfd fds[4 + kProcessesMax] = {{signals_, POLLIN, 0},
                                     {timer_, POLLIN, 0},
                                     {descriptor_, POLLIN, 0},
                                     {terminal_, POLLIN, 0}};
    for (int i = 0; i < process_count_; ++i) fds[4 + i] = {processes_[i], POLLIN, 0};
    if (poll(fds, 4 + static_cast<nfds_t>(process_count_), -1) < 0) {
      if (errno == EINTR) continue;
      fail("poll: {}", errno_text(errno));
    }
    if (fds[0].revents != 0) return read_signal();
    for (int i = 0; i < process_count_; ++i) {
      if (fds[4 + i].revents != 0) return Event::kExited;
    }
    if (fds[3].revents != 0) return Event::kInput;
    if (fds[2].revents != 0) ready_();
    if (fds[1].revents != 0) {
      uint64_t expirations = 0;
      if (read(timer_, &expirations, sizeof(expirations)) > 0) return Event::kTick;
    }
  }
}

}  // namespace epulse::cli
