#pragma once

#include <string>

namespace CLI {
class App;
}

namespace epulse::cli {

// "; did you mean --interval?" for a word that `app`, or the subcommand of it that was parsed, does
// not know; empty when nothing is near.
std::string suggestion(const CLI::App& app, const std::string& word);

}  // namespace epulse::cli
