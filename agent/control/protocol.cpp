#include "agent/control/protocol.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "agent/actuate/origin.hpp"
#include "agent/alerts/payload.hpp"
#include "agent/error.hpp"

namespace epulse::control {
namespace {

using nlohmann::json;

constexpr std::array<std::string_view, 5> kRequests = {"status", "advise", "diff", "history",
                                                       "undo"};
constexpr std::string_view kPrefix = "epulsed-";
constexpr std::string_view kSuffix = ".sock";

const char* name_of(actuate::UndoResult result) {
  switch (result) {
    case actuate::UndoResult::kRestored:
      return "restored";
    case actuate::UndoResult::kGone:
      return "gone";
    case actuate::UndoResult::kStoodDown:
      return "stood down";
    case actuate::UndoResult::kFailed:
      return "failed";
  }
  return "?";
}

// Ids of another pid namespace name others here: there is no command to give.
json change_json(const actuate::IntentRecord& intent) {
  const bool here = actuate::place_of(intent.origin) == actuate::Place::kHere;
  const std::string there = "in the pid namespace that it was made in";
  return {{"seq", intent.seq},
          {"at", alerts::rfc3339(intent.unix_time_s * 1000)},
          {"change", actuate::describe(intent.change)},
          {"reason", intent.reason},
          {"by_hand", here ? actuate::by_hand(intent.change) : there},
          {"undo_by_hand", here ? actuate::undo_by_hand(intent.change) : there}};
}

}  // namespace

std::string Request::to_line() const {
  return json{{"version", kVersion}, {"request", name}, {"dry_run", dry_run}}.dump();
}

std::variant<Request, Refusal> parse_request(std::string_view line) {
  const json object = json::parse(line, nullptr, false);
  if (!object.is_object()) {
    return Refusal{R"(no object of JSON; say {"version":1,"request":"status"})"};
  }
  const auto version = object.find("version");
  if (version == object.end() || *version != kVersion) {
    return Refusal{fmt::format("this epulsed speaks version {}", kVersion)};
  }
  const auto name = object.find("request");
  const auto dry_run = object.find("dry_run");
  if (name == object.end() || !name->is_string() ||
      std::find(kRequests.begin(), kRequests.end(), *name) == kRequests.end()) {
    return Refusal{fmt::format("unknown request; there are {}", fmt::join(kRequests, ", "))};
  }
  for (const auto& [key, value] : object.items()) {
    // A slip of the pen in "dry_run" must not undo everything.
    if (key != "version" && key != "request" && key != "dry_run") {
      return Refusal{fmt::format("unknown key {}; there are version, request, dry_run", key)};
    }
  }
  if (dry_run != object.end() && !dry_run->is_boolean()) {
    return Refusal{"dry_run is true or false"};
  }
  return Request{*name, dry_run != object.end() && dry_run->get<bool>()};
}

std::string to_line(json answer) {
  answer["version"] = kVersion;
  return answer.dump(-1, ' ', false, json::error_handler_t::replace);
}

std::string error_line(std::string_view why) {
  return to_line({{"error", why}});
}

json changes_json(const std::vector<actuate::IntentRecord>& pending) {
  json all = json::array();
  for (auto intent = pending.rbegin(); intent != pending.rend(); ++intent) {
    all.push_back(change_json(*intent));
  }
  return all;
}

json preview_json(const std::vector<actuate::IntentRecord>& pending) {
  const actuate::Preview preview = actuate::preview(pending);
  json left_alone = json::array();
  for (const actuate::LeftAlone& one : preview.left_alone) {
    left_alone.push_back({{"seq", one.intent.seq},
                          {"change", actuate::describe(one.intent.change)},
                          {"why", one.why}});
  }
  return {{"changes", changes_json(preview.undone)}, {"left_alone", std::move(left_alone)}};
}

json outcomes_json(const std::vector<actuate::Outcome>& outcomes) {
  json all = json::array();
  for (const actuate::Outcome& outcome : outcomes) {
    all.push_back(
        {{"seq", outcome.seq}, {"result", name_of(outcome.result)}, {"text", outcome.text}});
  }
  return all;
}

json alarms_json(const std::vector<alerts::Alarm>& alarms) {
  json all = json::array();
  for (const alerts::Alarm& alarm : alarms) {
    all.push_back({{"since", alerts::rfc3339(alarm.starts_unix_ms)},
                   {"severity", alarm.labels.at("severity")},
                   {"value", alarm.reading.value},
                   {"worst", alarm.reading.worst},
                   {"labels", alarm.labels},
                   {"annotations", alerts::annotations_of(alarm)}});
  }
  return all;
}

json advice_json(const std::vector<Advice>& advice) {
  json all = json::array();
  for (const Advice& one : advice) {
    const tuners::Proposal& proposal = one.proposal;
    json figures = json::array();
    for (const tuners::Figure& figure : proposal.figures) {
      json entry = {{"name", figure.name}, {"value", figure.value}};
      if (figure.limit) entry["limit"] = *figure.limit;
      figures.push_back(std::move(entry));
    }
    all.push_back({{"at", alerts::rfc3339(one.unix_ms)},
                   {"scenario", proposal.scenario},
                   {"target", proposal.target},
                   {"evidence", proposal.evidence},
                   {"figures", std::move(figures)},
                   {"expected", proposal.expected},
                   {"by_hand", proposal.by_hand},
                   {"bounds", proposal.bounds}});
  }
  return all;
}

std::string socket_path(const std::string& state_dir, pid_t pid) {
  return fmt::format("{}/{}{}{}", state_dir, kPrefix, pid, kSuffix);
}

std::vector<std::string> socket_paths(const std::string& state_dir) {
  std::vector<std::string> paths;
  std::error_code error;
  std::filesystem::recursive_directory_iterator at(
      state_dir, std::filesystem::directory_options::skip_permission_denied, error);
  for (; !error && at != std::filesystem::recursive_directory_iterator(); at.increment(error)) {
    const std::string name = at->path().filename();
    if (name.starts_with(kPrefix) && name.ends_with(kSuffix)) paths.push_back(at->path());
    if (at.depth() == 1) at.disable_recursion_pending();
  }
  if (error && error != std::errc::no_such_file_or_directory) {
    fail("cannot look for epulsed in {}: {}; be root, or a member of agent.group", state_dir,
         error.message());
  }
  std::sort(paths.begin(), paths.end());
  return paths;
}

}  // namespace epulse::control
