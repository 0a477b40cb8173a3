#pragma once

#include <string>
#include <vector>

namespace CLI {
class App;
}

// The command line as a table: what manual pages and completions are made from.
namespace epulse {

struct OptionEntry {
  std::vector<std::string> shorts;  // "p", without dashes
  std::vector<std::string> longs;   // "pid"
  std::string positional;           // "interval"; empty for an option
  std::string value;                // what it takes, "PID"; empty for a flag
  std::string range;                // of the value, "0 - 4096"; empty: not told
  std::vector<std::string> choices;
  std::string description;
  std::string otherwise;  // the default, empty where there is none to tell
  bool repeats = false;   // takes all words that follow
};

struct CommandEntry {
  std::string name;  // empty for epulse itself
  std::string description;
  std::string footer;  // examples, and what else `--help` ends with
  std::vector<OptionEntry> options;
};

CommandEntry command_entry(const CLI::App& command);
// Those that `epulse --help` shows, in its order.
std::vector<CommandEntry> command_entries(const CLI::App& app);

}  // namespace epulse
