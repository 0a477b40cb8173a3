#pragma once

#include <string>

namespace CLI {
class App;
}

// Manual pages and completions, made from the very tables that parse the command line.
namespace epulse::cli {

struct DocumentOptions {
  std::string shell;
  std::string command;
  std::string folder;  // man: all pages into it, instead
};

// To standard output; the exit status. Throws Error for what does not exist.
int run_completion(const CLI::App& app, const DocumentOptions& options);
int run_man(const CLI::App& app, const DocumentOptions& options);

}  // namespace epulse::cli
