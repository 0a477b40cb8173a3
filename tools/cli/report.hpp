#pragma once

#include "agent/export/record_format.hpp"

namespace epulse::cli {

// All that `epulse report` writes to standard output. The recording may come from a stranger: no
// figure in it is trusted to fit another.
void print_recording(const record::Recording& recording, bool histograms);

}  // namespace epulse::cli
