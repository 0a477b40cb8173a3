#include "tools/cli/suggestion.hpp"

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include <vector>

#include "agent/config/nearest.hpp"

namespace epulse::cli {

std::string suggestion(const CLI::App& app, const std::string& word) {
  const auto given = app.get_subcommands();
  const CLI::App& at = given.empty() ? app : *given.front();
  std::vector<std::string> names;
  for (const CLI::Option* option : at.get_options()) {
    for (const std::string& name : option->get_lnames()) names.push_back("--" + name);
  }
  for (const CLI::App* command : at.get_subcommands({})) {
    if (!command->get_group().empty()) names.push_back(command->get_name());
  }
  const std::string wanted = word.substr(0, word.find('='));
  const std::string_view nearest = config::nearest(wanted, {names.begin(), names.end()});
  return nearest.empty() ? "" : fmt::format("; did you mean {}?", nearest);
}

}  // namespace epulse::cli
