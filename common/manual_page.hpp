#pragma once

#include <string>
#include <utility>
#include <vector>

#include "common/option_table.hpp"

// Manual pages in mdoc(7), made from the very table that parses the command line. They have nothing
// for `mandoc -T lint` to say.
namespace epulse {

struct ManualPage {
  std::string name;      // "epulse-stat"
  std::string synopsis;  // "epulse stat"
  std::string brief;     // for apropos; empty: from the command's description
  CommandEntry command;
  std::vector<CommandEntry> commands = {};  // its own, listed with their pages
  std::string more = {};  // paragraphs for the description, after the command's own footer
  std::vector<std::pair<std::string, std::string>> environment = {};  // with what each is for
  std::vector<std::pair<std::string, std::string>> files = {};
  std::vector<std::pair<int, std::string>> exit_statuses = {};  // with what each means
  std::vector<std::string> see_also = {};                       // "epulse-stat 1"
};

std::string manual_page(const ManualPage& page);

// Adds --man to a program without commands: it prints the page, in which `page.command` is what
// `app` has by then, and ends the program as --help does.
void add_manual_option(CLI::App& app, ManualPage page);

}  // namespace epulse
