#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

namespace epulse::cli {

// The command after `--`. Held back until the probe is attached, so that its first wait is seen.
class Command {
 public:
  explicit Command(const std::vector<std::string>& arguments);
  ~Command();
  Command(const Command&) = delete;
  Command& operator=(const Command&) = delete;

  pid_t pid() const { return pid_; }

  // Lets it go. Throws Error when it cannot be executed.
  void start();
  // Asks it to end, and after a while no longer asks. Returns its exit status as a shell would give
  // it.
  int stop();
  bool has_ended() const;
  // Waits for it.
  int finish();

 private:
  [[noreturn]] static void run(const std::vector<std::string>& arguments, const int* gate,
                               const int* failure);

  pid_t pid_ = 0;
  int gate_ = -1;
  int failure_ = -1;
  std::string name_;
};

}  // namespace epulse::cli
