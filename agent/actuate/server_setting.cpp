#include "agent/actuate/server_setting.hpp"

#include <nlohmann/json.hpp>
#include <stdexcept>

#include "agent/actuate/proc_thread.hpp"
#include "agent/error.hpp"
#include "common/line_client.hpp"

namespace epulse::actuate {
namespace {

using nlohmann::json;

// A thread of its own answers, unless the server is stopped or starved; our loop waits meanwhile.
constexpr double kPatienceS = 1;
constexpr double kLookPatienceS = 0.25;  // where it is only to be shown

bool is_there(const ServerSetting& change) {
  const auto stat = read_thread_stat(change.pid, change.pid);
  return stat && stat->start_ticks == change.start_ticks;
}

// What the answer to `request` has under `field`.
uint64_t ask(const ServerSetting& change, const std::string& request, const std::string& field,
             double patience_s = kPatienceS) {
  // Through /proc, so that a server in a container, with files of its own, is reached too.
  const std::string path = fmt::format("/proc/{}/root{}", change.pid, change.socket);
  std::optional<std::string> line;
  try {
    line = ask_line(path, request, patience_s, change.pid);
  } catch (const std::runtime_error& error) {
    fail("{}: {}", target_text(change), error.what());
  }
  if (!line)
    fail("{}: nobody listens on its control socket {}", target_text(change), change.socket);
  const json answer = json::parse(*line, nullptr, false);
  if (answer.is_object() && answer.contains(field) && answer[field].is_number_unsigned()) {
    return answer[field].get<uint64_t>();
  }
  if (answer.is_object() && answer.contains("error") && answer["error"].is_string()) {
    fail("{}: the server says: {}", target_text(change), answer["error"].get<std::string>());
  }
  fail("{}: {} answered \"{}\" with something else than {}", target_text(change), change.socket,
       request, field);
}

uint64_t value_now(const ServerSetting& change, double patience_s = kPatienceS) {
  return ask(change, "get", change.name, patience_s);
}

Standing standing_of(const ServerSetting& change, double patience_s) {
  if (!is_there(change)) return Standing::kGone;
  const uint64_t now = value_now(change, patience_s);
  if (now == change.new_value) return Standing::kNew;
  return now == change.old_value ? Standing::kOld : Standing::kOthers;
}

// The server compares: a value that somebody else has set meanwhile is not touched, and an Error.
void replace(const ServerSetting& change, uint64_t from, uint64_t to) {
  ask(change, fmt::format("set {} {} if {}", change.name, to, from), "now");
}

std::string elses(const ServerSetting& change, uint64_t now, uint64_t ours) {
  return fmt::format("{} is {}, not {}: somebody else changed it; it is left alone", change.name,
                     now, ours);
}

}  // namespace

ServerSetting prepare(const ServerSetting& change) {
  if (!is_there(change)) fail("process {} has ended; its settings are not changed", change.pid);
  const uint64_t now = value_now(change);
  if (now != change.old_value) fail("{}", elses(change, now, change.old_value));
  return change;
}

void perform(const ServerSetting& change) {
  replace(change, change.old_value, change.new_value);
}

Standing look(const ServerSetting& change) {
  return standing_of(change, kLookPatienceS);
}

Undone undo(const ServerSetting& change) {
  const std::string values = fmt::format("{} -> {}", change.new_value, change.old_value);
  switch (standing_of(change, kPatienceS)) {
    case Standing::kGone:
      return {UndoResult::kGone, "it has ended, nothing to restore"};
    case Standing::kOld:  // The agent died before it made the change, or after it undid it.
      return {UndoResult::kRestored, values + " in place already"};
    case Standing::kOthers:
      return {UndoResult::kStoodDown, elses(change, value_now(change), change.new_value)};
    case Standing::kNew:
      break;
  }
  replace(change, change.new_value, change.old_value);
  return {UndoResult::kRestored, values + " restored"};
}

bool is_gone(const ServerSetting& change) {
  return !is_there(change);
}

}  // namespace epulse::actuate
