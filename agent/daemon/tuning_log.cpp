#include "agent/daemon/tuning_log.hpp"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <chrono>

#include "agent/kernel/sched_sampler.hpp"

namespace epulse::daemon {
namespace {

constexpr size_t kAdviceMax = 100;

// "affinity" of "affinity.contended".
std::string_view tuner_of(const tuners::Proposal& proposal) {
  return std::string_view(proposal.scenario).substr(0, proposal.scenario.find('.'));
}

// "socket_buffers" is "socket buffers" to the reader.
std::string title(std::string_view tuner) {
  std::string text(tuner);
  for (char& c : text) c = c == '_' ? ' ' : c;
  return text;
}

// In the history.
const char* kind_of(actuate::UndoResult result) {
  switch (result) {
    case actuate::UndoResult::kRestored:
      return "undone";
    case actuate::UndoResult::kGone:
      return "gone";
    case actuate::UndoResult::kStoodDown:
      return "stood down";
    case actuate::UndoResult::kFailed:
      break;
  }
  return "undo failed";
}

bool same_case(const tuners::Proposal& a, const tuners::Proposal& b) {
  return a.scenario == b.scenario && a.target == b.target;
}

std::string summary(const tuners::Proposal& proposal, const actuate::Change& change) {
  return fmt::format("{}; {}; by hand: {}", actuate::describe(change), proposal.expected,
                     proposal.by_hand);
}

}  // namespace

void TuningLog::advised(const tuners::Proposal& proposal, const actuate::Change& change) {
  if (may_log()) {
    const std::string tuner = title(tuner_of(proposal));
    spdlog::info("{}: {}", tuner, proposal.evidence);
    spdlog::info("{}: would change {}", tuner, summary(proposal, change));
  }
  note("advice", fmt::format("{}: would change {}", proposal.evidence, actuate::describe(change)),
       proposal.by_hand);
  keep_advice(proposal);
}

void TuningLog::changed(const tuners::Proposal& proposal, const actuate::Change& change) {
  if (may_log()) {
    const std::string tuner = title(tuner_of(proposal));
    spdlog::info("{}: {}", tuner, proposal.evidence);
    spdlog::info("{}: changed {}", tuner, summary(proposal, change));
  }
  note("changed", fmt::format("{}; {}", actuate::describe(change), proposal.evidence),
       proposal.by_hand);
  drop_advice(proposal);
}

void TuningLog::not_changed(const tuners::Proposal& proposal, std::string_view why) {
  if (may_log()) {
    const std::string tuner = title(tuner_of(proposal));
    spdlog::info("{}: {}", tuner, proposal.evidence);
    spdlog::error("{}: nothing changed: {}", tuner, why);
  }
  note("refused", fmt::format("{}: {}", proposal.target, why));
  keep_advice(proposal);
}

void TuningLog::stood_down(const tuners::Proposal& proposal, std::string_view why) {
  if (may_log()) spdlog::warn("{}: {}", title(tuner_of(proposal)), why);
  note("stood down", why);
  drop_advice(proposal);
}

void TuningLog::diagnosed(const tuners::Proposal& proposal) {
  spdlog::info("{}: {}; remedy: {}", proposal.scenario, proposal.evidence, proposal.by_hand);
  note("advice", fmt::format("{}: {}", proposal.scenario, proposal.evidence), proposal.by_hand);
  keep_advice(proposal);
}

void TuningLog::kept(std::string_view tuner, std::string_view evidence) {
  spdlog::info("{}: kept: {}", tuner, evidence);
  note("kept", evidence);
}

void TuningLog::undoing(std::string_view tuner, std::string_view evidence) {
  spdlog::warn("{}: undoing: {}", tuner, evidence);
  note("undoing", evidence);
}

bool TuningLog::undone(const std::vector<actuate::Outcome>& outcomes) {
  bool all = true;
  for (const actuate::Outcome& outcome : outcomes) {
    note(kind_of(outcome.result), outcome.text);
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
                      state_dir_);
        all = false;
        break;
    }
  }
  return all;
}

void TuningLog::forgotten(const std::vector<actuate::Outcome>& outcomes) {
  for (const actuate::Outcome& outcome : outcomes) {
    if (outcome.result == actuate::UndoResult::kStoodDown) {
      note("stood down", outcome.text);
      if (may_log()) spdlog::warn("stood down: {}", outcome.text);
    } else {
      note("gone", outcome.text);
      spdlog::debug("gone: {}", outcome.text);
    }
  }
}

void TuningLog::alarm(std::string_view text, bool fires) {
  note("alarm", text);
  if (!may_log()) return;
  if (fires) {
    spdlog::warn("{}", text);
  } else {
    spdlog::info("{}", text);
  }
}

bool TuningLog::may_log() {
  if (!limit_.allows(kernel::monotonic_ns())) return false;
  if (const uint64_t left_out = limit_.take_left_out(); left_out > 0) {
    spdlog::warn("{} messages were left out; `epulse history` has them", left_out);
  }
  return true;
}

void TuningLog::keep_advice(const tuners::Proposal& proposal) {
  drop_advice(proposal);
  if (advice_.size() == kAdviceMax) advice_.erase(advice_.begin());
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  advice_.push_back({std::chrono::duration_cast<std::chrono::milliseconds>(now).count(), proposal,
                     kernel::monotonic_ns()});
}

void TuningLog::still_holds(std::string_view target, uint64_t now_ns) {
  for (control::Advice& one : advice_) {
    if (one.proposal.target == target) one.held_ns = now_ns;
  }
}

void TuningLog::still_holds(const tuners::Proposal& proposal, uint64_t now_ns) {
  for (control::Advice& one : advice_) {
    if (!same_case(one.proposal, proposal)) continue;
    one.proposal = proposal;
    one.held_ns = now_ns;
  }
}

void TuningLog::drop_stale(uint64_t since_ns) {
  std::erase_if(advice_, [&](const control::Advice& one) { return one.held_ns < since_ns; });
}

void TuningLog::drop_advice(const tuners::Proposal& proposal) {
  std::erase_if(advice_,
                [&](const control::Advice& one) { return same_case(one.proposal, proposal); });
}

void TuningLog::note(std::string_view kind, std::string_view text, std::string_view by_hand) {
  history_.add(kind, text, by_hand);
  const bool failed = !history_.error().empty();
  if (failed && !history_failed_) {
    spdlog::warn("the history {}/history cannot be written: {}; nothing else suffers", state_dir_,
                 history_.error());
  }
  history_failed_ = failed;
}

}  // namespace epulse::daemon
