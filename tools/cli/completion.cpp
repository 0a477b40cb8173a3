#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include "agent/error.hpp"
#include "common/option_table.hpp"
#include "tools/cli/documents.hpp"
#include "tools/cli/output.hpp"

namespace epulse::cli {
namespace {

std::string joined(const std::vector<std::string>& parts, std::string_view separator,
                   std::string_view before = "") {
  std::string text;
  for (const std::string& part : parts) {
    text += fmt::format("{}{}{}", text.empty() ? "" : separator, before, part);
  }
  return text;
}

// "-p", "--pid"
std::vector<std::string> spellings(const OptionEntry& option) {
  std::vector<std::string> all;
  for (const std::string& name : option.shorts) all.push_back("-" + name);
  for (const std::string& name : option.longs) all.push_back("--" + name);
  return all;
}

std::string names_of(const std::vector<CommandEntry>& commands, std::string_view separator) {
  std::vector<std::string> names;
  names.reserve(commands.size());
  for (const CommandEntry& command : commands) names.push_back(command.name);
  return joined(names, separator);
}

// In single quotes of a POSIX shell; fish's differ, and are spared by taking the quote out.
std::string single_quoted(std::string_view text) {
  std::string result = "'";
  for (const char c : text) {
    if (c == '\'') {
      result += "'\\''";
    } else {
      result += c;
    }
  }
  return result + "'";
}

// ---- bash ----

// What may follow an option that takes a value; without it readline offers files.
std::string bash_values(const CommandEntry& command) {
  std::string text;
  for (const OptionEntry& option : command.options) {
    if (option.value.empty() || !option.positional.empty()) continue;
    std::string labels;
    for (const std::string& spelling : spellings(option)) {
      labels += fmt::format("{}{}:{}", labels.empty() ? "" : "|", command.name, spelling);
    }
    std::string words = joined(option.choices, " ");
    if (option.value.starts_with("PID")) words = "$(_epulse_pids)";
    text += words.empty() ? fmt::format("    {}) return ;;\n", labels)
                          : fmt::format("    {}) _epulse_offer \"{}\"; return ;;\n", labels, words);
  }
  return text;
}

std::string bash_script(const CommandEntry& top, const std::vector<CommandEntry>& commands) {
  const auto words_of = [](const CommandEntry& command) {
    std::vector<std::string> words;
    for (const OptionEntry& option : command.options) {
      for (std::string& spelling : spellings(option)) words.push_back(std::move(spelling));
    }
    return joined(words, " ");
  };
  std::string values;
  std::string words =
      fmt::format("    '') _epulse_offer \"{} {}\" ;;\n", names_of(commands, " "), words_of(top));
  for (const CommandEntry& command : commands) {
    values += bash_values(command);
    words += fmt::format("    {}) _epulse_offer \"{}\" ;;\n", command.name, words_of(command));
  }
  return fmt::format(R"(# bash completion for epulse; made by `epulse completion bash`
_epulse_pids() {{ epulse list 2>/dev/null | awk 'NR > 1 {{ print $1 }}' | sort -u; }}
_epulse_offer() {{ COMPREPLY=($(compgen -W "$1" -- "$word")); }}
_epulse() {{
  local word=${{COMP_WORDS[COMP_CWORD]}} before=${{COMP_WORDS[COMP_CWORD - 1]}} command= i
  COMPREPLY=()
  for ((i = 1; i < COMP_CWORD; ++i)); do
    case ${{COMP_WORDS[i]}} in
    --) return ;;
    {}) command=${{command:-${{COMP_WORDS[i]}}}} ;;
    esac
  done
  case $command:$before in
{}  esac
  case $command in
{}  esac
}}
complete -o default -F _epulse epulse
)",
                     names_of(commands, "|"), values, words);
}

// ---- zsh ----

// Brackets and colons mean something in the specifications of _arguments.
std::string zsh_text(std::string_view text) {
  std::string result;
  for (const char c : text) {
    if (c == '[' || c == ']' || c == ':' || c == '\\') result += '\\';
    result += c;
  }
  return result;
}

std::string zsh_action(const OptionEntry& option) {
  if (!option.choices.empty()) return fmt::format("({})", joined(option.choices, " "));
  if (option.value.starts_with("PID")) return "_epulse_pids";
  return option.value == "TEXT" ? "_files" : " ";
}

std::string zsh_specification(const OptionEntry& option) {
  const std::string value =
      option.value.empty() ? "" : fmt::format(":{}:{}", zsh_text(option.value), zsh_action(option));
  if (!option.positional.empty()) {
    return single_quoted(fmt::format("{}:{}:{}", option.repeats ? "*" : "",
                                     zsh_text(option.positional),
                                     option.repeats ? "_command_names" : " "));
  }
  const std::vector<std::string> names = spellings(option);
  std::string text;
  for (const std::string& name : names) {
    text += fmt::format("{}{}", text.empty() ? "" : " ",
                        single_quoted(fmt::format("({}){}[{}]{}", joined(names, " "), name,
                                                  zsh_text(option.description), value)));
  }
  return text;
}

std::string zsh_script(const CommandEntry& top, const std::vector<CommandEntry>& commands) {
  std::string described;
  std::string cases;
  for (const CommandEntry& command : commands) {
    described += fmt::format("    {}\n", single_quoted(fmt::format("{}:{}", command.name,
                                                                   zsh_text(command.description))));
    cases += fmt::format("  {})\n    _arguments", command.name);
    for (const OptionEntry& option : command.options) {
      cases += " \\\n      " + zsh_specification(option);
    }
    cases += " ;;\n";
  }
  std::string general;
  for (const OptionEntry& option : top.options) {
    general += zsh_specification(option) + " \\\n    ";
  }
  return fmt::format(R"zsh(#compdef epulse
# zsh completion for epulse; made by `epulse completion zsh`
_epulse_pids() {{
  local -a pids
  pids=(${{(f)"$(epulse list 2>/dev/null | awk 'NR > 1 {{ print $1 ":" $2 }}' | sort -u)"}})
  _describe process pids
}}
_epulse() {{
  local state
  local -a line commands
  commands=(
{}  )
  _arguments -C \
    {}'1:command:->command' '*::argument:->argument'
  case $state in
  command) _describe command commands; return ;;
  esac
  case $line[1] in
{}  esac
}}
_epulse "$@"
)zsh",
                     described, general, cases);
}

// ---- fish ----

std::string fish_text(std::string_view text) {
  std::string result = "'";
  for (const char c : text) {
    if (c == '\'' || c == '\\') result += '\\';
    result += c;
  }
  return result + "'";
}

std::string fish_option(const std::string& condition, const OptionEntry& option) {
  std::string line = fmt::format("complete -c epulse -n {}", condition);
  for (const std::string& name : option.shorts) line += " -s " + name;
  for (const std::string& name : option.longs) line += " -l " + name;
  if (!option.choices.empty()) {
    line += fmt::format(" -x -a {}", fish_text(joined(option.choices, " ")));
  } else if (option.value.starts_with("PID")) {
    line += " -x -a '(epulse list 2>/dev/null | awk \"NR > 1 { print \\$1 }\" | sort -u)'";
  } else if (!option.value.empty()) {
    line += " -r";
  }
  return fmt::format("{} -d {}\n", line, fish_text(option.description));
}

std::string fish_script(const CommandEntry& top, const std::vector<CommandEntry>& commands) {
  const std::string first =
      fmt::format("'not __fish_seen_subcommand_from {}'", names_of(commands, " "));
  std::string script = "# fish completion for epulse; made by `epulse completion fish`\n";
  for (const OptionEntry& option : top.options) script += fish_option(first, option);
  for (const CommandEntry& command : commands) {
    script += fmt::format("complete -c epulse -f -n {} -a {} -d {}\n", first, command.name,
                          fish_text(command.description));
    const std::string condition = fmt::format("'__fish_seen_subcommand_from {}'", command.name);
    for (const OptionEntry& option : command.options) {
      if (option.positional.empty()) script += fish_option(condition, option);
    }
  }
  return script;
}

}  // namespace

int run_completion(const CLI::App& app, const DocumentOptions& options) {
  const CommandEntry top = command_entry(app);
  const std::vector<CommandEntry> commands = command_entries(app);
  if (options.shell == "bash") {
    print_text(bash_script(top, commands));
  } else if (options.shell == "zsh") {
    print_text(zsh_script(top, commands));
  } else if (options.shell == "fish") {
    print_text(fish_script(top, commands));
  } else {
    fail("no completion for {}; there are bash, zsh and fish", options.shell);
  }
  return 0;
}

}  // namespace epulse::cli
