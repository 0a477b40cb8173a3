#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include <algorithm>
#include <fstream>

#include "agent/error.hpp"
#include "common/manual_page.hpp"
#include "tools/cli/documents.hpp"
#include "tools/cli/output.hpp"

// The manual pages of epulse and of its commands.
namespace epulse::cli {
namespace {

const std::vector<std::pair<int, std::string>> kExitStatuses = {
    {0, "Fine."},
    {1,
     "Something was found: a metric is absent, a file is damaged, a figure moved, many messages "
     "have no epoll_wait, a change could not be undone."},
    {2, "Wrong usage, or an error; the message says what failed, on what, why, and what helps."},
    {69, "This host cannot do it: BPF, or what else it takes, is refused."},
    {130,
     "epulse record was ended by Ctrl-C; the recording is whole. It passes its command's status "
     "on."}};

// Those of the commands, the file and the other programs.
std::vector<std::string> related(const std::vector<CommandEntry>& commands,
                                 const std::string& name) {
  std::vector<std::string> pages = {"epulse-load 1", "epulse-ws 1", "epulse.data 5", "epulsed 1"};
  if (!name.empty()) pages.emplace_back("epulse 1");
  for (const CommandEntry& command : commands) {
    if (command.name != name) pages.push_back(fmt::format("epulse-{} 1", command.name));
  }
  return pages;
}

ManualPage page_of(const CommandEntry& command, const std::vector<CommandEntry>& commands) {
  return {.name = "epulse-" + command.name,
          .synopsis = "epulse " + command.name,
          .brief = "",
          .command = command,
          .exit_statuses = kExitStatuses,
          .see_also = related(commands, command.name)};
}

std::vector<ManualPage> all_pages(const CLI::App& app) {
  const std::vector<CommandEntry> commands = command_entries(app);
  std::vector<ManualPage> pages = {{.name = "epulse",
                                    .synopsis = "epulse",
                                    .brief = "what happens between socket ready and handled",
                                    .command = command_entry(app),
                                    .commands = commands,
                                    .exit_statuses = kExitStatuses,
                                    .see_also = related(commands, "")}};
  for (const CommandEntry& command : commands) pages.push_back(page_of(command, commands));
  return pages;
}

void write_all(const std::vector<ManualPage>& pages, const std::string& folder) {
  for (const ManualPage& page : pages) {
    const std::string path = fmt::format("{}/{}.1", folder, page.name);
    std::ofstream file(path);
    file << manual_page(page);
    file.close();
    if (!file) fail("cannot write {}: {}; is there such a folder?", path, errno_text(errno));
  }
}

}  // namespace

int run_man(const CLI::App& app, const DocumentOptions& options) {
  const std::vector<ManualPage> pages = all_pages(app);
  if (!options.folder.empty()) {
    write_all(pages, options.folder);
    return 0;
  }
  const std::string name =
      options.command.empty() ? pages[0].name : pages[0].name + "-" + options.command;
  const auto found = std::find_if(pages.begin(), pages.end(),
                                  [&](const ManualPage& page) { return page.name == name; });
  if (found == pages.end()) fail("there is no command {}; see epulse --help", options.command);
  print_text(manual_page(*found));
  return 0;
}

}  // namespace epulse::cli
