#pragma once

#include <bpf/libbpf.h>

#include <memory>
#include <vector>

#include "agent/kernel/facts.hpp"
#include "agent/probes/bpf_object.hpp"
#include "agent/probes/epoll_probe.hpp"
#include "agent/probes/plan.hpp"
#include "epoll.skel.h"

namespace epulse::probes {

// Whose events pass, as the kernel numbers processes.
struct TargetConstants {
  uint32_t tgid;        // 0: those in the map `targets`
  uint32_t user_level;  // of our pid namespace
};

// The BPF object of the epoll probe in the shape that a plan asks for: constants, programs, maps.
// Everything is gone from the kernel with the object. All throw LoadError when refused.
class EpollObject {
 public:
  EpollObject(const EpollProbeOptions& options, const TargetConstants& target,
              const kernel::Facts& facts, const Plan& plan, uint32_t slots);

  void load() { object_.load(); }
  void attach();

  epoll_bpf* operator->() const { return object_.operator->(); }

 private:
  void attach_to_syscall(bpf_program* program, const std::string& name);

  struct Unlink {
    void operator()(bpf_link* link) const { bpf_link__destroy(link); }
  };

  BpfObject<epoll_bpf> object_{"epoll"};
  WaitHook waits_;
  std::map<std::string, uint64_t, std::less<>> syscall_tracepoints_;
  std::vector<std::unique_ptr<bpf_link, Unlink>> links_;  // beside those of the skeleton
};

}  // namespace epulse::probes
