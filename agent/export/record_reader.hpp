#pragma once

#include <string>
#include <string_view>

#include "agent/export/record_format.hpp"

namespace epulse::record {

// Reads a record file. Throws Error when it cannot be read or is no record file; damage further in
// is described in the result beside all that is intact.
Recording read_recording(const std::string& path);

// The same on a file's contents: pure, the part that is fuzzed. `name` is for messages.
Recording parse_recording(std::string_view contents, const std::string& name);

}  // namespace epulse::record
