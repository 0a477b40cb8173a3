#pragma once

#include "agent/export/record_format.hpp"
#include "agent/model/uring_stats.hpp"

namespace epulse::cli {

// The live table of rings: a line per thread that used one in the interval, nothing when none did.
void print_rings(const model::UringSnapshot& interval, const record::ThreadNames& names);

// The breakdown of a whole run: counters, stages and occupancies per thread and ring.
void print_ring_summary(const model::UringSnapshot& total, const record::ThreadNames& names);

}  // namespace epulse::cli
