#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <functional>

namespace epulse::test {

// A forked process that waits for our go, does its work, then waits for our leave to end, so that a
// probe can be attached before and read after. Work and results share memory of type Shared.
class ChildProcess {
 public:
  ChildProcess(const std::function<void(void*)>& work, size_t shared_bytes);
  ~ChildProcess();
  ChildProcess(const ChildProcess&) = delete;
  ChildProcess& operator=(const ChildProcess&) = delete;

  pid_t pid() const { return pid_; }
  // Lets it work; returns when it is done. False when it died or took over 30 s.
  bool work();
  void* shared() const { return shared_; }

 private:
  pid_t pid_ = 0;
  int go_ = -1;
  int done_ = -1;
  void* shared_ = nullptr;
  size_t shared_bytes_;
};

// For what is an instant on a real CPU: 20 us, or EPULSE_SLACK_US on emulated ones.
uint64_t slack_ns();

template <typename Shared>
class Child : public ChildProcess {
 public:
  explicit Child(std::function<void(Shared&)> work)
      : ChildProcess(
            [work = std::move(work)](void* memory) { work(*static_cast<Shared*>(memory)); },
            sizeof(Shared)) {}
  const Shared& result() const { return *static_cast<const Shared*>(shared()); }
};

}  // namespace epulse::test
