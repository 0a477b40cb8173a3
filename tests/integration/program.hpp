#pragma once

#include <sys/types.h>

#include <functional>
#include <string>
#include <vector>

namespace epulse::test {

// A program as a child process, its output kept. Ended (asked, then killed) and reaped with the
// object.
class Program {
 public:
  // `arguments[0]` is the file to execute.
  explicit Program(std::vector<std::string> arguments);
  ~Program();
  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;

  pid_t pid() const { return pid_; }
  std::string out() const { return contents(out_); }
  std::string err() const { return contents(err_); }
  void signal(int number) const;
  // The exit status, 128 + n after signal n, -1 when it still runs after `seconds`.
  int wait(double seconds = 30);

 private:
  static std::string contents(int fd);

  pid_t pid_ = 0;
  int out_ = -1;
  int err_ = -1;
  int status_ = -1;
};

// Polls until the condition holds; false when it does not within `seconds`.
bool eventually(const std::function<bool()>& condition, double seconds = 20);

}  // namespace epulse::test
