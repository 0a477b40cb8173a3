#include "common/option_table.hpp"

#include <CLI/CLI.hpp>
#include <algorithm>

namespace epulse {
namespace {

// CLI11 tells choices as part of the type: "TEXT:{auto,fentry}", "{auto->0,fentry->1}".
std::vector<std::string> choices_of(const std::string& type) {
  const size_t open = type.find('{');
  const size_t close = type.find('}');
  if (open == std::string::npos || close == std::string::npos || close < open) return {};
  std::vector<std::string> choices =
      CLI::detail::split(type.substr(open + 1, close - open - 1), ',');
  for (std::string& choice : choices) choice.resize(std::min(choice.find("->"), choice.size()));
  return choices;
}

// "INT in [0 - 4096]", as CLI::Range has it.
void take_range(OptionEntry& option) {
  constexpr std::string_view kIn = " in [";
  const size_t at = option.value.find(kIn);
  if (at == std::string::npos) return;
  option.range = option.value.substr(at + kIn.size());
  option.range.resize(std::min(option.range.find(']'), option.range.size()));
  option.value.resize(at);
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
    take_range(result);
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

}  // namespace epulse
