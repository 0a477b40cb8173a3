#pragma once

#include <bpf/libbpf.h>

#include <memory>
#include <string_view>
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
  // What counts waits. Nothing is detached again but with the object.
  void attach();
  // What sees the rest of an event's life; not needed for counting, and most of the cost. Kernels
  // before 5.13 attach no function hook a second time: there they stay, and do nothing while
  // detail_round is 0.
  void attach_detail();
  void detach_detail();
  bool is_detail(std::string_view program) const;

  epoll_bpf* operator->() const { return object_.operator->(); }

 private:
  void attach_to_syscall(bpf_program* program, const std::string& name);

  struct Unlink {
    void operator()(bpf_link* link) const { bpf_link__destroy(link); }
  };

  using Link = std::unique_ptr<bpf_link, Unlink>;

  BpfObject<epoll_bpf> object_{"epoll"};
  std::vector<bpf_program*> detail_;
  WaitHook waits_;
  std::map<std::string, uint64_t, std::less<>> syscall_tracepoints_;
  bool trampoline_reattach_;
  std::vector<Link> links_;         // beside those of the skeleton
  std::vector<Link> detail_links_;  // of detail_, in its order
};

}  // namespace epulse::probes
