#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "agent/model/host_facts.hpp"
#include "agent/tuners/persistence.hpp"
#include "agent/tuners/proposal.hpp"

// What settings of the host stand in a server's way. Pure; advice, never acted upon.
namespace epulse::tuners {

//   host.listen-overflow      clients come faster than the queue of a listening socket holds
//   host.receive-buffer-max   connections whose receive buffer cannot grow any more (tcp_rmem)
//   host.send-buffer-max      likewise of send buffers (tcp_wmem)
//   host.congestion-control   losses on long ways, where bbr is there and not used
//   host.busy-poll            of the time until events are handled most is for waking up
// `before` is the look before this one.
std::vector<Proposal> advise_host(const model::HostFacts& now, const model::HostFacts& before);

// Once per look, some seconds apart: what has held for three of them.
class HostAdvice {
 public:
  Findings step(const model::HostFacts& facts, uint64_t now_ns);

 private:
  std::optional<model::HostFacts> last_;
  Persistence persistence_;
};

}  // namespace epulse::tuners
