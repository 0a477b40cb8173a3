#include "agent/daemon/answers.hpp"

#include <unistd.h>

#include <nlohmann/json.hpp>

#include "agent/control/history.hpp"
#include "agent/error.hpp"

namespace epulse::daemon {
namespace {

using nlohmann::json;

// Some 2 MB: the files have room for no more than that many of the shortest.
constexpr size_t kEventsMax = 10'000;

json sinks(const Asked& asked) {
  json all = json::object();
  if (const auto* const sink = asked.alarms.alertmanager()) {
    const notify::DeliveryState state = sink->state();
    all["alertmanager"] = {{"url", asked.config.alerts.alertmanager.url},
                           {"posts", state.posts},
                           {"unsaid", state.unsaid},
                           {"lost", state.lost},
                           {"refused", state.refused},
                           {"failures", state.failures},
                           {"error", state.error}};
  }
  if (const auto* const hook = asked.alarms.exec()) {
    all["exec"] = {{"command", asked.config.alerts.exec.command[0]},
                   {"runs", hook->runs()},
                   {"failures", hook->failures()},
                   {"dropped", hook->dropped()}};
  }
  return all;
}

json status(const Asked& asked) {
  const model::Overhead* const overhead = asked.sampler.overhead();
  return {{"epulsed", EPULSE_VERSION},
          {"pid", getpid()},
          {"target", asked.target},
          {"backend", probes::to_string(asked.sampler.plan().backend)},
          {"backend_why", asked.sampler.plan().why},
          {"mode", config::name_of(asked.tuning.mode())},
          {"mode_why", asked.mode_why},
          {"journal_error", asked.tuning.journal_error()},
          {"config_error", asked.config_error},
          {"running_s", asked.running_s},
          {"interval_ms", asked.config.agent.interval_ms},
          {"intervals", asked.intervals},
          {"probes_cost", overhead != nullptr ? text_of(*overhead) : ""},
          {"alarms", control::alarms_json(asked.alarms.firing())},
          {"sinks", sinks(asked)},
          {"changes", asked.tuning.pending().size()},
          {"verifying", asked.tuning.is_verifying()},
          {"advice", asked.log.advice().size()},
          {"why_no_advice", asked.tuning.why_no_advice(asked.sched)}};
}

}  // namespace

std::string answer(const control::Request& request, const Asked& asked) {
  if (request.name == "status") return control::to_line(status(asked));
  if (request.name == "advise") {
    return control::to_line({{"target", asked.target},
                             {"mode", config::name_of(asked.tuning.mode())},
                             {"advice", control::advice_json(asked.log.advice())},
                             {"why_no_advice", asked.tuning.why_no_advice(asked.sched)}});
  }
  if (request.name == "diff") {
    return control::to_line(
        {{"target", asked.target}, {"changes", control::changes_json(asked.tuning.pending())}});
  }
  return control::to_line({{"history", control::history_json(control::History::read(
                                           asked.config.agent.state_dir, kEventsMax))}});
}

}  // namespace epulse::daemon
