#pragma once

#include <chrono>
#include <memory>
#include <vector>

struct steering_bpf;  // its skeleton
struct steering_worker;

namespace epulse::server {

// A BPF program that gives each new connection to the worker with the least to do, among the
// sockets of one port (SO_REUSEPORT); without it the kernel's hash of the addresses does. The
// workers tell it how much they have (session/accept_load.hpp).
class AcceptSteering {
 public:
  // Listening sockets, not owned, worker k's at k. Serves when it returns; throws Error where the
  // kernel or our rights do not allow it.
  explicit AcceptSteering(std::vector<int> listeners);
  AcceptSteering(const AcceptSteering&) = delete;
  AcceptSteering& operator=(const AcceptSteering&) = delete;
  // Without detach() the program stays as long as the sockets do.
  ~AcceptSteering() = default;

  // While the sockets are open: the hash chooses again, and they may have another such program,
  // also of a process that is to take them over. The loads stay.
  void detach();
  // After detach(). Where a process that had taken the sockets over has just ended, the kernel
  // gives them back a little later: this waits for it, up to two seconds. Throws Error.
  void attach();

  // One for each worker; valid as long as this object.
  steering_worker* loads() const;

 private:
  struct Destroy {
    void operator()(steering_bpf* skeleton) const;
  };
  using Deadline = std::chrono::steady_clock::time_point;
  void attach_until(Deadline deadline);
  void give_socket(unsigned worker, Deadline deadline);
  void withdraw_sockets();

  std::vector<int> listeners_;
  std::unique_ptr<steering_bpf, Destroy> skeleton_;
};

}  // namespace epulse::server
