#include "agent/daemon/tuning.hpp"

#include <spdlog/spdlog.h>

#include "agent/actuate/socket_sampler.hpp"
#include "agent/error.hpp"
#include "agent/kernel/cpuset.hpp"
#include "agent/kernel/process.hpp"
#include "agent/kernel/topology.hpp"

namespace epulse::daemon {
namespace {

constexpr uint64_t kSecond = 1'000'000'000;

tuners::AffinityLimits affinity_limits(const config::AffinityTuner& config) {
  return {.wakeup_ns_p99 = config.wakeup_p99_us * 1000,
          .delay_share_min = config.delay_share_min,
          .foreign_busy_min = config.foreign_busy_min,
          .cooldown_ns = config.cooldown_s * kSecond,
          .verify_ns = config.verify_s * kSecond,
          .improvement_min = config.improvement_min};
}

tuners::SocketBufferLimits socket_limits(const config::SocketBufferTuner& config) {
  return {.pressure_share = config.pressure_share,
          .floor_bytes = config.floor_bytes,
          .rcvbuf_max_bytes = config.rcvbuf_max_bytes,
          .sndbuf_max_bytes = config.sndbuf_max_bytes,
          .cooldown_ns = config.cooldown_s * kSecond};
}

}  // namespace

Tuning::Tuning(pid_t pid, const config::Config& config, config::Mode mode)
    : pid_(pid),
      mode_(mode),
      config_(config),
      affinity_(affinity_limits(config.affinity), kernel::cpu_topology()),
      sockets_(socket_limits(config.socket_buffers), pid) {
  // A daemon that does not change anything still clears up after one that did; otherwise it leaves
  // the journal, and its lock, to others.
  const bool applies = mode == config::Mode::kApply;
  if (!applies && actuate::Journal::read(config.agent.state_dir).pending.empty()) return;
  actuator_ = std::make_unique<actuate::Actuator>(config.agent.state_dir);
  for (const std::string& complaint : actuator_->complaints()) spdlog::warn("{}", complaint);
  if (!actuator_->pending().empty()) {
    spdlog::warn("an epulsed before this one died with {} changes in force; undoing them",
                 actuator_->pending().size());
    log_outcomes(actuator_->recover());
  }
  if (!applies) actuator_.reset();
}

void Tuning::step(const TargetSample& sample, uint64_t now_ns) {
  if (mode_ == config::Mode::kObserve) return;
  if (config_.affinity.enabled) {
    const auto decision = affinity_.step(sample.sched, kernel::usable_cpus(pid_), now_ns);
    if (const auto* proposal = std::get_if<tuners::AffinityProposal>(&decision)) {
      propose(*proposal, now_ns);
    } else if (const auto* verdict = std::get_if<tuners::AffinityVerdict>(&decision)) {
      conclude(*verdict);
    }
  }
  if (config_.socket_buffers.enabled && now_ns >= next_sockets_ns_) {
    next_sockets_ns_ = now_ns + config_.socket_buffers.interval_s * kSecond;
    tune_sockets(now_ns);
  }
}

void Tuning::propose(const tuners::AffinityProposal& proposal, uint64_t now_ns) {
  const actuate::ThreadAffinity change{.pid = pid_,
                                       .tid = proposal.tid,
                                       .start_ticks = proposal.start_ticks,
                                       .name = proposal.name,
                                       .old_mask = proposal.from,
                                       .new_mask = proposal.to};
  spdlog::info("affinity: {}", proposal.evidence);
  if (mode_ == config::Mode::kAdvise) {
    spdlog::info("affinity: would change {}; {}; by hand: {}", actuate::describe(change),
                 proposal.expected, actuate::by_hand(change));
    return;
  }
  try {
    affinity_change_ = actuator_->apply(change, proposal.evidence);
    affinity_.applied(now_ns);
    spdlog::info("affinity: changed {}; {}; by hand: {}", actuate::describe(change),
                 proposal.expected, actuate::by_hand(change));
  } catch (const Error& error) {
    spdlog::error("affinity: nothing changed: {}", error.what());
  }
}

void Tuning::conclude(const tuners::AffinityVerdict& verdict) {
  if (verdict.kind == tuners::AffinityVerdict::Kind::kKeep) {
    spdlog::info("affinity: kept: {}", verdict.evidence);
  } else {
    spdlog::warn("affinity: undoing: {}", verdict.evidence);
    try {
      if (affinity_change_) log_outcomes({actuator_->undo(*affinity_change_)});
    } catch (const Error& error) {
      spdlog::error("affinity: {}", error.what());
    }
  }
  affinity_change_.reset();
}

void Tuning::tune_sockets(uint64_t now_ns) {
  const auto process = kernel::thread_stat(pid_, pid_);
  if (!process) return;
  try {
    const actuate::SocketSamples samples =
        actuate::sample_sockets(pid_, config_.socket_buffers.sockets_max);
    for (const auto& proposal : sockets_.step(samples.sockets, now_ns)) {
      const actuate::SocketBuffer change{.pid = pid_,
                                         .start_ticks = process->start_ticks,
                                         .fd = proposal.sample.fd,
                                         .inode = proposal.sample.inode,
                                         .side = proposal.side,
                                         .old_bytes = proposal.from_bytes,
                                         .old_lock = proposal.sample.buffer_lock,
                                         .new_bytes = proposal.to_bytes};
      if (mode_ == config::Mode::kAdvise) {
        spdlog::info("socket buffers: {}; would change {}; {}", proposal.evidence,
                     actuate::describe(change), proposal.expected);
        continue;
      }
      apply_socket_buffer(change, proposal);
    }
  } catch (const Error& error) {
    spdlog::error("socket buffers: {}", error.what());
  }
}

// By itself, so that a socket that closed in the meantime does not keep the next from its change.
void Tuning::apply_socket_buffer(const actuate::SocketBuffer& change,
                                 const tuners::SocketBufferProposal& proposal) {
  try {
    actuator_->apply(change, proposal.evidence);
    spdlog::info("socket buffers: {}; changed {}; {}", proposal.evidence, actuate::describe(change),
                 proposal.expected);
  } catch (const Error& error) {
    spdlog::error("socket buffers: nothing changed: {}", error.what());
  }
}

bool Tuning::restore() {
  if (!actuator_) return true;
  try {
    return log_outcomes(actuator_->undo_all());
  } catch (const std::exception& error) {
    spdlog::error("cannot restore: {}; `epulse undo --state-dir {}` tries again", error.what(),
                  config_.agent.state_dir);
    return false;
  }
}

bool Tuning::log_outcomes(const std::vector<actuate::Outcome>& outcomes) const {
  bool all = true;
  for (const actuate::Outcome& outcome : outcomes) {
    switch (outcome.result) {
      case actuate::UndoResult::kRestored:
        spdlog::info("undo: {}", outcome.text);
        break;
      case actuate::UndoResult::kGone:
      case actuate::UndoResult::kStoodDown:
        spdlog::warn("undo: {}", outcome.text);
        break;
      case actuate::UndoResult::kFailed:
        spdlog::error("undo: {}; `epulse undo --state-dir {}` tries again", outcome.text,
                      config_.agent.state_dir);
        all = false;
        break;
    }
  }
  return all;
}

}  // namespace epulse::daemon
