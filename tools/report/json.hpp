#pragma once

#include <string>
#include <vector>

#include "agent/export/record_reader.hpp"
#include "common/json_line.hpp"
#include "tools/report/diff.hpp"
#include "tools/report/stdio.hpp"

// What `epulse report -j` prints, a line each: docs/schemas/epulse-report.json.
namespace epulse::report {

// A file that was read through.
struct Read {
  std::string path;
  record::RecordCondition condition;
};

// How a file was found, as an object.
void add_file(JsonLine& line, const Read& file);

std::string report_json(const Read& file, const Summary& summary, const StdioOptions& options);

std::string differences_json(const Read& before, const Read& after,
                             const std::vector<Difference>& differences);

}  // namespace epulse::report
