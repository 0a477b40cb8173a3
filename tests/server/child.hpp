#pragma once

#include <sys/types.h>

#include <chrono>
#include <string>
#include <vector>

namespace epulse::testing {

using std::chrono::milliseconds;

// The engine that servers under test are to use, from the environment variable EPULSE_WS_ENGINE; ""
// for their default. EPULSE_WS_EPOLL_MODE, where it is set, is their --epoll-mode.
std::string engine_under_test();

// A program under test. Killed, if still there, and always reaped by the destructor.
class Child {
 public:
  // stdout and stderr are read through pipes.
  explicit Child(std::vector<std::string> command);
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;
  ~Child();

  pid_t pid() const { return pid_; }
  void signal(int number) const;

  // The next line of stdout without its end; "" if none comes in time.
  std::string read_line(milliseconds deadline = milliseconds(10'000));

  // Waits for the end; the exit status, 128 + N when signal N ended it, -1 when it does not end in
  // time.
  int wait(milliseconds deadline = milliseconds(20'000));

  // What was printed to stderr until now.
  const std::string& err_so_far();

  // All that was printed, once wait() has returned.
  const std::string& out() const { return out_; }
  const std::string& err() const { return err_; }

 private:
  bool pump(milliseconds deadline);

  pid_t pid_ = -1;
  bool reaped_ = false;
  int out_fd_ = -1;
  int err_fd_ = -1;
  std::string out_;
  std::string err_;
  std::size_t line_start_ = 0;
};

// A server that another one has started to take over from it: no child of ours, and by its
// descriptor never mistaken for another process. Ended by the destructor.
class Heir {
 public:
  // From the line that it prints when it serves. Throws when that names no process.
  explicit Heir(const std::string& start_line);
  Heir(const Heir&) = delete;
  Heir& operator=(const Heir&) = delete;
  ~Heir();

  pid_t pid() const { return pid_; }
  void signal(int number) const;
  // Whether it ends in time.
  bool ended(milliseconds deadline = milliseconds(10'000)) const;

 private:
  pid_t pid_;
  int fd_;  // pidfd
};

// A running epulse-ws on a port of its own.
class ServerChild {
 public:
  // Throws when the server does not come up.
  explicit ServerChild(const std::vector<std::string>& options = {});

  Child& child() { return child_; }
  int port() const { return port_; }
  const std::string& start_line() const { return start_line_; }
  std::string url(const std::string& path = "/") const;

 private:
  Child child_;
  std::string start_line_;
  int port_ = 0;
};

}  // namespace epulse::testing
