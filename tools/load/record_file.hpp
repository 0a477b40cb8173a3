#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tools/load/output_file.hpp"
#include "tools/load/recording.hpp"

namespace epulse::load {

struct RecordHead {
  std::string url;
  std::string mode;
  std::uint64_t start_ns = 0;
  std::uint64_t end_ns = 0;
  std::int64_t realtime_offset_ns = 0;  // at the start
};

// Writes what the threads recorded in the form of docs/load-record.md. All are thinned to the
// coarsest among them.
void write_record(OutputFile& file, const RecordHead& head,
                  const std::vector<Recording*>& recordings);

}  // namespace epulse::load
