#pragma once

#include <sys/types.h>

#include <functional>
#include <vector>

namespace epulse::load {

// Processes that share this one's work, because each may have but so many descriptors. They end
// when this one does, however it ends.
class Processes {
 public:
  Processes() = default;
  Processes(const Processes&) = delete;
  Processes& operator=(const Processes&) = delete;
  ~Processes();

  // Forks one that runs `work` and ends; `work` throws what ends it with an error. To be called
  // while this process has no other thread. Throws Error.
  void start(const std::function<void()>& work);

  // Throws Error when one has ended otherwise than well.
  void check();

  // Waits until all have ended. Throws Error likewise.
  void join();

 private:
  void reap();

  std::vector<pid_t> running_;
};

}  // namespace epulse::load
