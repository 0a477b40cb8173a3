#include "agent/daemon/tuning.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <utility>

#include "agent/actuate/socket_sampler.hpp"
#include "agent/daemon/no_advice.hpp"
#include "agent/error.hpp"
#include "agent/kernel/cpuset.hpp"
#include "agent/kernel/listeners.hpp"
#include "agent/kernel/process.hpp"
#include "agent/kernel/topology.hpp"
#include "common/counted.hpp"
#include "common/line_socket.hpp"

namespace epulse::daemon {
namespace {

constexpr uint64_t kSecond = 1'000'000'000;
// Changes looked at in an interval, whether their target is gone: each that is takes a write to the
// journal.
constexpr size_t kForgottenMax = 64;
// Intervals for which advice is shown that nothing bears out: twice those between two looks at the
// host's settings.
constexpr uint64_t kFreshIntervals = 20;
constexpr uint64_t kTryAgain = 10 * kSecond;

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
          .cooldown_ns = config.cooldown_s * kSecond,
          .verify_ns = config.verify_s * kSecond,
          .improvement_min = config.improvement_min};
}

tuners::ServerBatchLimits batch_limits(const config::ServerBufferTuner& config) {
  return {.saturated_share = config.saturated_share,
          .batch_max = static_cast<uint32_t>(config.batch_max),
          .cooldown_ns = config.cooldown_s * kSecond,
          .verify_ns = config.verify_s * kSecond,
          .improvement_min = config.improvement_min};
}

}  // namespace

Tuning::Tuning(pid_t pid, bool is_bundled_server, const config::Config& config, config::Mode mode,
               TuningLog& log)
    : pid_(pid),
      is_bundled_server_(is_bundled_server),
      mode_(mode),
      config_(config),
      log_(log),
      affinity_(affinity_limits(config.affinity), kernel::cpu_topology()),
      sockets_(socket_limits(config.socket_buffers), pid),
      batch_(batch_limits(config.server_buffers), batch_control()),
      causes_(pid),
      host_(pid) {
  claim_target();
  open_journal();
}

void Tuning::claim_target() {
  claim_.is_taken = false;
  if (mode_ != config::Mode::kApply) return;
  if (!claim_.held) claim_ = actuate::claim(pid_);
  if (!claim_.held && !claim_.is_taken) {
    spdlog::warn(
        "whether another epulsed changes process {} cannot be told (no access to "
        "/proc/{}/personality); see to it that none does",
        pid_, pid_);
  }
  if (!claim_.is_taken) return;
  mode_ = config::Mode::kAdvise;
  spdlog::warn(
      "another epulsed changes process {} already; stop one of the two (`pgrep -a epulsed` shows "
      "them); going on in mode advise",
      pid_);
}

// A daemon that does not change anything still clears up after one that did; otherwise it leaves
// the journal, and its lock, to others.
void Tuning::open_journal() {
  const bool applies = mode_ == config::Mode::kApply;
  next_try_ns_ = 0;
  try {
    const actuate::JournalState left = actuate::Journal::read(config_.agent.state_dir);
    if (!applies && left.pending.empty() && left.complaints.empty()) return;
    actuator_ = std::make_unique<actuate::Actuator>(config_.agent.state_dir);
    for (const std::string& complaint : actuator_->complaints()) spdlog::warn("{}", complaint);
    if (!actuator_->pending().empty()) {
      spdlog::warn("an epulsed before this one died with {} in force; undoing what it did",
                   counted(actuator_->pending().size(), "change"));
      note_undone(actuator_->recover());
    }
    if (applies) actuator_->require_writable();
  } catch (const Error& error) {
    actuator_.reset();
    if (applies) {
      mode_ = config::Mode::kAdvise;
      journal_error_ = error.what();
      spdlog::error("{}; going on in mode advise", error.what());
    } else {
      spdlog::warn("changes of another epulsed are in force: {}", error.what());
    }
  }
  release_journal();
}

void Tuning::step(const TargetSample& sample, uint64_t now_ns) {
  try_again(now_ns);
  if (mode_ == config::Mode::kObserve) return update_advice(now_ns);
  forget_settled();
  tell(causes_.step(sample, now_ns), now_ns);
  if (config_.host_advice.enabled) tell(host_.step(sample, now_ns), now_ns);
  // None while the change of another is judged, which it would disturb.
  const bool sockets_free = socket_changes_.empty();
  if (config_.affinity.enabled && !batch_change_ && sockets_free) tune_affinity(sample, now_ns);
  if (config_.server_buffers.enabled && !affinity_change_ && sockets_free) {
    tune_batch(sample, now_ns);
  }
  if (affinity_change_ || batch_change_) sockets_.abandon();
  if (config_.socket_buffers.enabled && !affinity_change_ && !batch_change_) tune_sockets(now_ns);
  update_advice(now_ns);
}

// What is being judged is for its verdict to end.
void Tuning::forget_settled() {
  if (!actuator_ || actuator_->pending().empty()) return;
  std::vector<uint64_t> judged = socket_changes_;
  if (affinity_change_) judged.push_back(*affinity_change_);
  if (batch_change_) judged.push_back(*batch_change_);
  log_.forgotten(actuator_->forget_settled(judged, kForgottenMax));
}

void Tuning::tell(const tuners::Findings& findings, uint64_t now_ns) {
  for (const tuners::Proposal& one : findings.news) log_.diagnosed(one);
  for (const tuners::Proposal& one : findings.standing) log_.still_holds(one, now_ns);
}

// What was advised and is borne out no longer is not shown any more.
void Tuning::update_advice(uint64_t now_ns) {
  for (const auto& targets : {affinity_.standing(), batch_.standing(), sockets_.standing()}) {
    for (const std::string& target : targets) log_.still_holds(target, now_ns);
  }
  const uint64_t patience_ns = kFreshIntervals * config_.agent.interval_ms * 1'000'000;
  log_.drop_stale(now_ns > patience_ns ? now_ns - patience_ns : 0);
}

void Tuning::tune_affinity(const TargetSample& sample, uint64_t now_ns) {
  const auto decision = affinity_.step(sample.sched, kernel::usable_cpus(pid_), now_ns);
  if (const auto* proposal = std::get_if<tuners::AffinityProposal>(&decision)) {
    propose(*proposal, now_ns);
  } else if (const auto* verdict = std::get_if<tuners::AffinityVerdict>(&decision)) {
    conclude(*verdict);
  }
}

tuners::BatchControl Tuning::batch_control() const {
  const std::vector<std::string> sockets =
      is_bundled_server_ ? kernel::unix_listeners(pid_) : std::vector<std::string>{};
  return {pid_, is_bundled_server_, sockets.empty() ? "" : path_of_bound(sockets.front())};
}

void Tuning::tune_batch(const TargetSample& sample, uint64_t now_ns) {
  if (!sample.epoll) return;
  const auto decision = batch_.step(*sample.epoll, now_ns);
  if (const auto* proposal = std::get_if<tuners::ServerBatchProposal>(&decision)) {
    propose_batch(*proposal, now_ns);
  } else if (const auto* verdict = std::get_if<tuners::ServerBatchVerdict>(&decision)) {
    if (!batch_change_) return;  // undone by request meanwhile
    if (verdict->keep && holds(*batch_change_)) {
      log_.kept("server buffers", verdict->evidence);
      batch_change_.reset();
    } else {
      log_.undoing("server buffers", verdict->evidence);
      undo_change(batch_change_, "server buffers");
    }
  }
}

void Tuning::propose_batch(const tuners::ServerBatchProposal& proposal, uint64_t now_ns) {
  const std::string socket = batch_control().socket;
  const auto process = kernel::thread_stat(pid_, pid_);
  if (socket.empty() || !process) return log_.diagnosed(proposal);  // for its administrator to do
  const actuate::ServerSetting change{.pid = pid_,
                                      .start_ticks = process->start_ticks,
                                      .socket = socket,
                                      .name = "epoll-batch",
                                      .old_value = proposal.from,
                                      .new_value = proposal.to};
  batch_change_ = carry_out(proposal, change);
  if (batch_change_) batch_.applied(now_ns);
}

void Tuning::propose(const tuners::AffinityProposal& proposal, uint64_t now_ns) {
  const actuate::ThreadAffinity change{.pid = pid_,
                                       .tid = proposal.tid,
                                       .start_ticks = proposal.start_ticks,
                                       .name = proposal.name,
                                       .old_mask = proposal.from,
                                       .new_mask = proposal.to};
  affinity_change_ = carry_out(proposal, change);
  if (affinity_change_) affinity_.applied(now_ns);
}

// The number of the change; nullopt when it was not made, by mode or because it failed.
std::optional<uint64_t> Tuning::carry_out(const tuners::Proposal& proposal,
                                          const actuate::Change& change) {
  if (mode_ != config::Mode::kApply) {
    log_.advised(proposal, change);
    return std::nullopt;
  }
  try {
    const uint64_t seq = actuator_->apply(change, proposal.evidence);
    log_.changed(proposal, change);
    journal_error_.clear();
    return seq;
  } catch (const actuate::Overruled& error) {
    log_.stood_down(proposal, error.what());
  } catch (const actuate::JournalError& error) {
    journal_error_ = error.what();
    log_.not_changed(proposal, error.what());
  } catch (const Error& error) {
    log_.not_changed(proposal, error.what());
    for (const uint64_t seq : actuator_->take_half_made()) not_restored_.push_back(seq);
  }
  return std::nullopt;
}

void Tuning::conclude(const tuners::AffinityVerdict& verdict) {
  if (!affinity_change_) return;  // undone by request meanwhile
  if (verdict.kind == tuners::AffinityVerdict::Kind::kKeep && holds(*affinity_change_)) {
    log_.kept("affinity", verdict.evidence);
    affinity_change_.reset();
  } else {
    log_.undoing("affinity", verdict.evidence);
    undo_change(affinity_change_, "affinity");
  }
}

// What is judged must be our own value: of what somebody else has set meanwhile the undo says so.
bool Tuning::holds(uint64_t change) const {
  return actuator_ && actuator_->holds(change);
}

void Tuning::undo_change(std::optional<uint64_t>& change, std::string_view tuner) {
  if (!change) return;
  try {
    note_undone({actuator_->undo(*change)});
  } catch (const Error& error) {
    spdlog::error("{}: {}", tuner, error.what());
  }
  change.reset();
}

// False when one failed, which is tried again.
bool Tuning::note_undone(const std::vector<actuate::Outcome>& outcomes) {
  for (const actuate::Outcome& outcome : outcomes) {
    if (outcome.result == actuate::UndoResult::kFailed) not_restored_.push_back(outcome.seq);
  }
  return log_.undone(outcomes);
}

// Who changes nothing, and has nothing left to undo, leaves the journal, its lock and the process
// to others.
void Tuning::release_journal() {
  if (mode_ == config::Mode::kApply || (actuator_ && !actuator_->pending().empty())) return;
  actuator_.reset();
  claim_.held.reset();
}

// What could not be undone when it was to be, is as soon as it can be; said when it was.
void Tuning::try_again(uint64_t now_ns) {
  if (!actuator_ || now_ns < next_try_ns_) return;
  next_try_ns_ = now_ns + kTryAgain;
  if (!journal_error_.empty()) look_for_room();
  for (const uint64_t change : std::exchange(not_restored_, {})) {
    try {
      const actuate::Outcome outcome = actuator_->undo(change);
      if (outcome.result == actuate::UndoResult::kFailed) {
        not_restored_.push_back(change);
      } else {
        log_.undone({outcome});
      }
    } catch (const Error&) {
      // It is no longer pending, or beneath a later one, which has to be undone first.
      if (actuator_->is_pending(change)) not_restored_.push_back(change);
    }
  }
  release_journal();
}

void Tuning::look_for_room() {
  try {
    actuator_->require_room();
    journal_error_.clear();
    spdlog::info("the journal can be written again");
  } catch (const Error& error) {
    journal_error_ = error.what();
  }
}

void Tuning::undo_unjudged() {
  undo_change(affinity_change_, "affinity");
  undo_change(batch_change_, "server buffers");
  undo_socket_changes();
}

void Tuning::tune_sockets(uint64_t now_ns) {
  if (!sockets_.is_watching() && now_ns >= next_sockets_ns_) {
    next_sockets_ns_ = now_ns + config_.socket_buffers.interval_s * kSecond;
    try {
      sockets_.survey(actuate::sample_sockets(pid_, config_.socket_buffers.sockets_max).sockets,
                      now_ns);
    } catch (const Error& error) {
      spdlog::error("socket buffers: {}", error.what());
    }
  }
  const auto decision = sockets_.decide(now_ns);
  if (const auto* proposals = std::get_if<tuners::SocketBufferTuner::Proposals>(&decision)) {
    propose_sockets(*proposals, now_ns);
  } else if (const auto* verdict = std::get_if<tuners::SocketBufferVerdict>(&decision)) {
    if (socket_changes_.empty()) return;  // undone by request meanwhile
    if (verdict->keep && std::any_of(socket_changes_.begin(), socket_changes_.end(),
                                     [&](uint64_t seq) { return holds(seq); })) {
      log_.kept("socket buffers", verdict->evidence);
      socket_changes_.clear();
    } else {
      log_.undoing("socket buffers", verdict->evidence);
      undo_socket_changes();
    }
  }
}

void Tuning::look(uint64_t now_ns) {
  const std::vector<int> fds = sockets_.watched();
  if (fds.empty()) return;
  try {
    sockets_.look(actuate::sample_sockets(pid_, fds), now_ns);
  } catch (const Error& error) {
    spdlog::error("socket buffers: {}", error.what());
    // Nothing to judge by: what is in force is undone.
    undo_socket_changes();
    sockets_.abandon();
  }
}

void Tuning::propose_sockets(const tuners::SocketBufferTuner::Proposals& proposals,
                             uint64_t now_ns) {
  const auto process = kernel::thread_stat(pid_, pid_);
  if (!process) return;
  tuners::SocketBufferTuner::Proposals made;
  for (const tuners::SocketBufferProposal& proposal : proposals) {
    const actuate::SocketBuffer change{.pid = pid_,
                                       .start_ticks = process->start_ticks,
                                       .fd = proposal.sample.fd,
                                       .inode = proposal.sample.inode,
                                       .side = proposal.side,
                                       .old_bytes = proposal.from_bytes,
                                       .old_lock = proposal.sample.buffer_lock,
                                       .new_bytes = proposal.to_bytes};
    const auto seq = carry_out(proposal, change);
    if (!seq) continue;
    socket_changes_.push_back(*seq);
    made.push_back(proposal);
  }
  sockets_.applied(made, now_ns);
}

// The latest first, as the journal wants it.
void Tuning::undo_socket_changes() {
  while (!socket_changes_.empty()) {
    std::optional<uint64_t> change = socket_changes_.back();
    socket_changes_.pop_back();
    undo_change(change, "socket buffers");
  }
}

bool Tuning::restore() {
  if (!actuator_) return true;
  try {
    not_restored_.clear();
    return note_undone(actuator_->undo_all());
  } catch (const std::exception& error) {
    spdlog::error("cannot restore: {}; `epulse undo --state-dir {}` tries again", error.what(),
                  config_.agent.state_dir);
    return false;
  }
}

std::vector<actuate::Outcome> Tuning::undo_and_stand_down() {
  if (mode_ == config::Mode::kApply) mode_ = config::Mode::kAdvise;
  affinity_change_.reset();
  batch_change_.reset();
  socket_changes_.clear();
  not_restored_.clear();
  sockets_.abandon();
  if (!actuator_) return {};
  std::vector<actuate::Outcome> outcomes = actuator_->undo_all();
  note_undone(outcomes);
  release_journal();
  return outcomes;
}

void Tuning::reconfigure(const config::Config& config, config::Mode mode) {
  journal_error_.clear();
  undo_unjudged();
  config_ = config;
  mode_ = mode;
  claim_target();
  affinity_ = tuners::AffinityTuner(affinity_limits(config.affinity), kernel::cpu_topology());
  sockets_ = tuners::SocketBufferTuner(socket_limits(config.socket_buffers), pid_);
  batch_ = tuners::ServerBatchTuner(batch_limits(config.server_buffers), batch_control());
  if (mode_ != config::Mode::kApply) {
    restore();
    release_journal();
  } else if (!actuator_) {
    open_journal();
  }
}

std::vector<actuate::IntentRecord> Tuning::journaled() const {
  return actuator_ ? actuator_->pending() : std::vector<actuate::IntentRecord>{};
}

std::vector<std::string> Tuning::why_no_advice(const model::SchedInterval& sched) const {
  if (mode_ == config::Mode::kObserve) return {"mode observe: nothing is proposed"};
  std::vector<std::string> why;
  if (affinity_change_) {
    why.emplace_back("affinity: the last change is being verified");
  } else if (config_.affinity.enabled && is_verifying()) {
    why.emplace_back("affinity: waits until the change of another tuner is verified");
  } else if (!config_.affinity.enabled) {
    why.emplace_back("affinity: tuner.affinity.enabled is false");
  } else {
    for (const std::string& one :
         why_no_affinity_advice(sched, kernel::usable_cpus(pid_), config_.affinity, affinity_,
                                kernel::monotonic_ns())) {
      why.push_back("affinity: " + one);
    }
  }
  why.push_back(
      !socket_changes_.empty() ? "socket buffers: the last change is being verified"
      : sockets_.is_watching() ? "socket buffers: some that were full are looked at closely"
      : config_.socket_buffers.enabled
          ? fmt::format("socket buffers: no buffer has been {:.0f} % full three times in a row",
                        config_.socket_buffers.pressure_share * 100)
          : "socket buffers: tuner.socket_buffers.enabled is false");
  why.push_back(batch_change_ ? "server buffers: the last change is being verified"
                : config_.server_buffers.enabled
                    ? fmt::format("server buffers: no worker's batches have been full {:.0f} % of "
                                  "the time, with much left behind, three intervals in a row",
                                  config_.server_buffers.saturated_share * 100)
                    : "server buffers: tuner.server_buffers.enabled is false");
  return why;
}

}  // namespace epulse::daemon
