#pragma once

#include <optional>

#include "tools/load/options.hpp"

namespace CLI {
class App;
}

namespace epulse::load {

// The part of the command line that is about the open loop: its rates, or the ramp that looks for
// one.
class RateOptions {
 public:
  // --duration is there already. The two outlive the parsing.
  void add(CLI::App& app, Options& options);
  // What follows from several of them. Throws CLI::ParseError.
  void finish(const CLI::App& app, Options& options) const;

 private:
  std::optional<double> step_duration_s_;
};

}  // namespace epulse::load
