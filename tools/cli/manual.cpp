#include <fmt/format.h>

#include <algorithm>
#include <sstream>

#include "agent/error.hpp"
#include "tools/cli/documents.hpp"
#include "tools/cli/option_table.hpp"
#include "tools/cli/output.hpp"

// Manual pages in mdoc(7).
namespace epulse::cli {
namespace {

constexpr const char* kDate = "November 26, 2026";

constexpr const char* kExitStatus =
    ".Sh EXIT STATUS\n"
    ".Bl -tag -width Ds -compact\n"
    ".It 0\nFine.\n"
    ".It 1\nSomething was found: a metric is absent, a file is damaged, a change could not be "
    "undone.\n"
    ".It 2\nWrong usage, or an error; the message says what failed, on what, why, and what helps.\n"
    ".It 69\nThis host cannot do it: BPF, or what else it takes, is refused.\n"
    ".El\n";

// Text that roff must not take for its own.
std::string escaped(std::string_view text) {
  std::string result;
  for (const char c : text) {
    if (c == '\\') {
      result += "\\e";
    } else {
      result += c;
    }
  }
  if (result.starts_with('.') || result.starts_with('\'')) result.insert(0, "\\&");
  return result;
}

// An argument of a macro: there, words that are macros' names, and punctuation, mean something.
std::string argument(std::string_view text) {
  std::string result = "\\&" + escaped(text);
  for (size_t at = result.find('"'); at != std::string::npos; at = result.find('"', at + 2)) {
    result.replace(at, 1, "\"\"");
  }
  return '"' + result + '"';
}

std::string upper(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
  return text;
}

// A sentence of what may be a phrase.
std::string sentence(std::string text) {
  if (text.empty()) return text;
  if (text.back() != '.') text += '.';
  return escaped(text);
}

std::string item(const OptionEntry& option) {
  std::string head;
  const auto add = [&](const std::string& name) {
    head += fmt::format("{}Fl {}", head.empty() ? ".It " : " , ", name);
  };
  for (const std::string& name : option.shorts) add(name);
  for (const std::string& name : option.longs) add("-" + name);
  if (!option.positional.empty()) head = ".It Ar " + option.positional;
  if (option.positional.empty() && !option.value.empty()) head += " Ar " + argument(option.value);
  std::string choices;
  for (const std::string& choice : option.choices) {
    choices += (choices.empty() ? " One of " : ", ") + choice;
  }
  if (!choices.empty()) choices += '.';
  const std::string otherwise =
      option.otherwise.empty() ? "" : fmt::format(" Default: {}.", option.otherwise);
  return fmt::format("{}\n{}{}{}\n", head, sentence(option.description), choices, otherwise);
}

std::string synopsis(const CommandEntry& command) {
  std::string text = fmt::format(".Sh SYNOPSIS\n.Nm epulse {}\n.Op Ar options\n", command.name);
  for (const OptionEntry& option : command.options) {
    if (option.positional.empty()) continue;
    text += option.repeats ? fmt::format(".Op Fl - Ar {} ...\n", option.positional)
                           : fmt::format(".Op Ar {}\n", option.positional);
  }
  return text;
}

std::string options_section(const CommandEntry& command) {
  std::string text = ".Sh OPTIONS\n.Bl -tag -width Ds\n";
  for (const OptionEntry& option : command.options) text += item(option);
  return text + ".El\n";
}

// What `--help` ends with.
struct Footer {
  std::string prose;
  std::string examples;  // a section, or nothing
};

// Prose, then "Examples:" and lines of them.
Footer footer_of(const std::string& text) {
  constexpr std::string_view kExamples = "Examples:\n";
  const size_t examples = text.find(kExamples);
  Footer footer;
  std::istringstream prose(text.substr(0, examples));
  for (std::string line; std::getline(prose, line);) {
    if (!line.empty()) footer.prose += ".Pp\n" + escaped(line) + '\n';
  }
  if (examples == std::string::npos) return footer;
  footer.examples = ".Sh EXAMPLES\n.Bd -literal\n";
  std::istringstream lines(text.substr(examples + kExamples.size()));
  for (std::string line; std::getline(lines, line);) {
    line.erase(0, std::min<size_t>(2, line.size()));
    footer.examples += escaped(line) + '\n';
  }
  footer.examples += ".Ed\n";
  return footer;
}

std::string page(const CommandEntry& command, const std::vector<CommandEntry>& all) {
  const bool top = command.name.empty();
  const std::string name = top ? "epulse" : "epulse-" + command.name;
  std::string text = fmt::format(
      ".Dd {}\n.Dt {} 1\n.Os epulse {}\n.Sh NAME\n.Nm {}\n.Nd {}\n", kDate, upper(name),
      EPULSE_VERSION, name, escaped(command.description.substr(0, command.description.find(';'))));
  text += top ? ".Sh SYNOPSIS\n.Nm epulse\n.Ar command\n.Op Ar options\n" : synopsis(command);
  text += ".Sh DESCRIPTION\n" + sentence(command.description) + '\n';
  const Footer footer = footer_of(command.footer);
  text += footer.prose;
  if (top) {
    text += ".Pp\nThe commands:\n.Bl -tag -width Ds\n";
    for (const CommandEntry& entry : all) {
      text += fmt::format(".It Nm {}\n{} See\n.Xr epulse-{} 1 .\n", entry.name,
                          sentence(entry.description), entry.name);
    }
    text += ".El\n";
  }
  text += options_section(command) + kExitStatus + footer.examples + ".Sh SEE ALSO\n";
  std::vector<std::string> others =
      top ? std::vector<std::string>{} : std::vector<std::string>{"epulse"};
  for (const CommandEntry& entry : all) {
    if (entry.name != command.name) others.push_back("epulse-" + entry.name);
  }
  std::sort(others.begin(), others.end());
  for (const std::string& other : others) {
    text += fmt::format(".Xr {} 1{}\n", other, other == others.back() ? "" : " ,");
  }
  return text;
}

}  // namespace

int run_man(const CLI::App& app, const DocumentOptions& options) {
  const std::vector<CommandEntry> all = command_entries(app);
  if (options.command.empty()) {
    print_text(page(command_entry(app), all));
    return 0;
  }
  const auto found = std::find_if(all.begin(), all.end(), [&](const CommandEntry& entry) {
    return entry.name == options.command;
  });
  if (found == all.end()) fail("there is no command {}; see epulse --help", options.command);
  print_text(page(*found, all));
  return 0;
}

}  // namespace epulse::cli
