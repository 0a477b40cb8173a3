#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "tools/load/distribution.hpp"

// The file formats of HdrHistogram (hdrhistogram.org), which its libraries in many languages, and
// plotters, read. Values are nanoseconds inside an encoded histogram, milliseconds in text.
namespace epulse::load {

// V2: a header of 40 bytes, then the counts as ZigZag LEB128, negative for runs of empty slots.
std::vector<std::uint8_t> hdr_encode(const Distribution& latency);

// That, deflated by zlib behind a header of 8 bytes, in base64: "HISTFAAA...". Throws Error when
// zlib has no memory.
std::string hdr_compressed(const Distribution& latency);

// The interval log, format 1.3. `start_s`: seconds since 1970; the intervals count from there.
std::string hdr_log_head(std::string_view made_by, double start_s);
std::string hdr_log_line(double from_s, double length_s, const Distribution& latency);

// The percentile distribution (.hgrm): five lines for every halving of what is above.
std::string hdr_percentiles(const Distribution& latency);

}  // namespace epulse::load
