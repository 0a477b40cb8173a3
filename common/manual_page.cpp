#include "common/manual_page.hpp"

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include <algorithm>
#include <cctype>
#include <sstream>
#include <string_view>

namespace epulse {
namespace {

constexpr const char* kDate = "November 26, 2026";
constexpr size_t kLineMax = 78;   // what the linter finds too long, less two
constexpr size_t kBriefMax = 68;  // with its macro

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

bool ends_sentence(const std::string& word) {
  const size_t last = word.find_last_not_of(")\"'");
  return last != std::string::npos && last != 0 &&
         std::string_view(".!?").find(word[last]) != std::string_view::npos;
}

// Each sentence on a line of its own, which roff wants, and lines that are not too long.
std::string prose(const std::string& text) {
  std::string result;
  std::string line;
  const auto end_line = [&] {
    if (!line.empty()) result += escaped(line) + '\n';
    line.clear();
  };
  std::istringstream words(text);
  for (std::string word; words >> word;) {
    if (line.size() + 1 + word.size() > kLineMax) end_line();
    line += (line.empty() ? "" : " ") + word;
    if (ends_sentence(word)) end_line();
  }
  end_line();
  return result;
}

// A sentence of what may be a phrase. Names of programs stay as they are.
std::string sentence(std::string text) {
  if (text.empty()) return text;
  if (!ends_sentence(text)) text += '.';
  if (!text.starts_with("epulse")) {
    text[0] = static_cast<char>(std::toupper(static_cast<unsigned char>(text[0])));
  }
  return text;
}

// What a list of pages shows: whole clauses of the description's beginning.
std::string brief_of(const std::string& description) {
  std::string brief = description.substr(0, description.find_first_of(";\n"));
  while (brief.size() > kBriefMax && brief.rfind(", ") != std::string::npos) {
    brief.resize(brief.rfind(", "));
  }
  return brief;
}

std::string choices_text(const OptionEntry& option) {
  std::string text;
  for (const std::string& choice : option.choices) {
    text += (text.empty() ? " One of " : ", ") + choice;
  }
  return text.empty() ? text : text + '.';
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
  const std::string range = option.range.empty() ? "" : fmt::format(" Range: {}.", option.range);
  const std::string otherwise =
      option.otherwise.empty() ? "" : fmt::format(" Default: {}.", option.otherwise);
  return head + '\n' +
         prose(sentence(option.description) + choices_text(option) + range + otherwise);
}

std::string synopsis(const ManualPage& page) {
  std::string text = fmt::format(".Sh SYNOPSIS\n.Nm {}\n", page.synopsis);
  if (!page.commands.empty()) text += ".Ar command\n";
  text += ".Op Ar options\n";
  for (const OptionEntry& option : page.command.options) {
    if (option.positional.empty()) continue;
    text += option.repeats ? fmt::format(".Op Fl - Ar {} ...\n", option.positional)
                           : fmt::format(".Op Ar {}\n", option.positional);
  }
  return text;
}

std::string commands_list(const ManualPage& page) {
  if (page.commands.empty()) return {};
  std::string text = ".Pp\nThe commands:\n.Bl -tag -width Ds\n";
  for (const CommandEntry& entry : page.commands) {
    text += fmt::format(".It Nm {}\n{}See\n.Xr {}-{} 1 .\n", entry.name,
                        prose(sentence(entry.description)), page.name, entry.name);
  }
  return text + ".El\n";
}

std::string options_section(const CommandEntry& command) {
  std::string text = ".Sh OPTIONS\n.Bl -tag -width Ds\n";
  for (const OptionEntry& option : command.options) text += item(option);
  return text + ".El\n";
}

// `macro`: what such a name is to roff, "Ev" or "Pa".
std::string names_section(std::string_view title, std::string_view macro,
                          const std::vector<std::pair<std::string, std::string>>& names) {
  if (names.empty()) return {};
  std::string text = fmt::format(".Sh {}\n.Bl -tag -width Ds\n", title);
  for (const auto& [name, meaning] : names) {
    text += fmt::format(".It {} {}\n{}", macro, argument(name), prose(sentence(meaning)));
  }
  return text + ".El\n";
}

std::string paragraphs(const std::string& text) {
  std::string result;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    if (!line.empty()) result += ".Pp\n" + prose(line);
  }
  return result;
}

std::string exit_status_section(const ManualPage& page) {
  if (page.exit_statuses.empty()) return {};
  std::string text = ".Sh EXIT STATUS\n.Bl -tag -width Ds -compact\n";
  for (const auto& [status, meaning] : page.exit_statuses) {
    text += fmt::format(".It {}\n{}", status, prose(sentence(meaning)));
  }
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
  footer.prose = paragraphs(text.substr(0, examples));
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

std::string see_also_section(std::vector<std::string> pages) {
  if (pages.empty()) return {};
  // By section, then by name.
  std::sort(pages.begin(), pages.end(), [](const std::string& a, const std::string& b) {
    return a.back() != b.back() ? a.back() < b.back() : a < b;
  });
  std::string text = ".Sh SEE ALSO\n";
  for (const std::string& page : pages) {
    text += fmt::format(".Xr {}{}\n", page, page == pages.back() ? "" : " ,");
  }
  return text;
}

}  // namespace

std::string manual_page(const ManualPage& page) {
  const std::string brief = page.brief.empty() ? brief_of(page.command.description) : page.brief;
  const Footer footer = footer_of(page.command.footer);
  return fmt::format(".Dd {}\n.Dt {} 1\n.Os\n.Sh NAME\n.Nm {}\n.Nd {}\n", kDate, upper(page.name),
                     page.name, escaped(brief)) +
         synopsis(page) + ".Sh DESCRIPTION\n" + prose(sentence(page.command.description)) +
         footer.prose + paragraphs(page.more) + commands_list(page) +
         options_section(page.command) + names_section("ENVIRONMENT", "Ev", page.environment) +
         names_section("FILES", "Pa", page.files) + exit_status_section(page) + footer.examples +
         see_also_section(page.see_also);
}

void add_manual_option(CLI::App& app, ManualPage page) {
  app.add_flag_callback(
         "--man",
         [&app, page = std::move(page)]() mutable {
           page.command = command_entry(app);
           // As CLI11 has it for --version: what() goes to standard output, with a line's end.
           std::string text = manual_page(page);
           text.pop_back();
           throw CLI::CallForVersion(text, 0);
         },
         "print the manual page, as mdoc(7), and exit")
      ->configurable(false)
      ->group("");
}

}  // namespace epulse
