#include "tools/cli/option_table.hpp"

namespace epulse::cli {
namespace {

// CLI11 tells choices as part of the type: "TEXT:{auto,fentry}".
std::vector<std::string> choices_of(const std::string& type) {
  const size_t open = type.find('{');
  const size_t close = type.find('}');
  if (open == std::string::npos || close == std::string::npos || close < open) return {};
  return CLI::detail::split(type.substr(open + 1, close - open - 1), ',');
}

OptionEntry entry(const CLI::Option& option) {
  OptionEntry result;
  result.shorts = option.get_snames();
  result.longs = option.get_lnames();
  if (option.get_positional()) result.positional = option.get_single_name();
  const std::string type = option.get_type_name();
  result.choices = choices_of(type);
  // A flag takes nothing; "UINT:SECONDS" is told by its last part.
  if (option.get_items_expected_max() != 0) {
    result.value = result.choices.empty() ? type.substr(type.rfind(':') + 1) : "NAME";
  }
  result.description = option.get_description();
  result.otherwise = option.get_default_str();
  result.repeats = option.get_items_expected_max() > 1;
  return result;
}

}  // namespace

CommandEntry command_entry(const CLI::App& command) {
  CommandEntry result{command.get_parent() == nullptr ? "" : command.get_name(),
                      command.get_description(),
                      command.get_footer(),
                      {}};
  for (const CLI::Option* option : command.get_options()) {
    if (!option->get_group().empty()) result.options.push_back(entry(*option));
  }
  return result;
}

std::vector<CommandEntry> command_entries(const CLI::App& app) {
  std::vector<CommandEntry> entries;
  for (const CLI::App* command : app.get_subcommands({})) {
    if (!command->get_group().empty()) entries.push_back(command_entry(*command));
  }
  return entries;
}

}  // namespace epulse::cli
