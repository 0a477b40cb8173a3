#include <fmt/format.h>

#include <map>
#include <nlohmann/json.hpp>

#include "agent/control/protocol.hpp"
#include "agent/model/text.hpp"
#include "common/counted.hpp"
#include "tools/cli/daemon_commands.hpp"

namespace epulse::cli {
namespace {

using nlohmann::json;

void print_advice(const json& advice) {
  fmt::print("\n{} {} ({})\n", text_at(advice, "scenario"), text_at(advice, "target"),
             text_at(advice, "at"));
  for (const char* const part : {"evidence", "expected", "by_hand", "bounds"}) {
    const std::string text = text_at(advice, part);
    if (!text.empty())
      fmt::print("  {:<9} {}\n", part == std::string("by_hand") ? "by hand" : part, text);
  }
}

// One cause has as many proposals as connections or threads suffer from it: they differ in their
// targets alone. All are of the one process that an epulsed watches.
void print_grouped(const json& all) {
  std::map<std::string, size_t> left;
  for (const json& one : all) ++left[text_at(one, "scenario")];
  for (const json& one : all) {
    const auto group = left.find(text_at(one, "scenario"));
    if (group == left.end()) continue;  // told already
    print_advice(one);
    if (group->second > 1) {
      fmt::print("  and {} more of this process (--all shows them)\n", group->second - 1);
    }
    left.erase(group);
  }
}

}  // namespace

int run_advise(const DaemonOptions& options) {
  bool any = false;
  const DaemonAnswers daemons =
      ask_running_daemons(options.state_dir, control::Request{"advise"}.to_line());
  for (const json& answer : daemons.answers) {
    const json all = answer.value("advice", json::array());
    any = any || !all.empty();
    if (options.json) {
      print_json("advice", answer);
      continue;
    }
    fmt::print("{}, mode {}: {}\n", text_at(answer, "target"), text_at(answer, "mode"),
               all.empty() ? "no advice" : counted(all.size(), "proposal"));
    if (options.all) {
      for (const json& one : all) print_advice(one);
    } else {
      print_grouped(all);
    }
    if (!all.empty()) continue;
    for (const json& why : answer.value("why_no_advice", json::array())) {
      if (why.is_string()) fmt::print("  {}\n", model::printable(why.get<std::string>()));
    }
  }
  return tell_errors(daemons, any ? 1 : 0);
}

}  // namespace epulse::cli
