#pragma once

#include <optional>
#include <vector>

#include "tools/load/options.hpp"
#include "tools/load/output_file.hpp"
#include "tools/load/recording.hpp"
#include "tools/load/result.hpp"

namespace epulse::load {

// Where a run's results go, besides the metrics endpoint.
class Outputs {
 public:
  // Creates the files that are asked for: better now than after an hour's load. Throws Error.
  explicit Outputs(const Options& options);

  // The run's connections are up.
  void begin();
  void interval(const Interval& interval);
  // What came after the last one.
  void remainder(const Interval& interval);
  // One rate of a ramp.
  void probe(const Result& result);
  void finish(const Result& result, const std::vector<Recording*>& recordings);

 private:
  void log(const Interval& interval);

  const Options& options_;
  std::optional<OutputFile> hdr_log_;
  std::optional<OutputFile> percentiles_;
  std::optional<OutputFile> record_;
};

}  // namespace epulse::load
