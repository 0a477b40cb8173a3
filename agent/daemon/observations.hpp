#pragma once

#include <string>
#include <vector>

#include "agent/alerts/alerts.hpp"
#include "agent/config/config.hpp"
#include "agent/daemon/target_sampler.hpp"

// From samples to what the alert rules look at, and to log lines. Pure.
namespace epulse::daemon {

// Without BPF the wake-up rule looks at a mean, the only figure there is, and says so.
std::vector<alerts::AlertRule> alert_rules(const config::Alerts& config, bool with_bpf);
std::vector<alerts::Observation> observations(const TargetSample& sample);

// "214 late wake-ups, worst 12.1ms: ws-worker-1[4711] on CPU 1"; empty when there were none. Names
// come from `sched`.
std::string exceptions_text(const std::vector<epoll_wait_record>& exceptions,
                            const model::SchedInterval& sched);

}  // namespace epulse::daemon
