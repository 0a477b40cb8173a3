#pragma once

#include <string>

#include "agent/export/record_format.hpp"

// What several targets do with recordings.
namespace epulse::fuzz {

// Everything but `damage` and how many intervals it came in.
bool same_contents(const record::Recording& a, const record::Recording& b);

// As the record writer puts it into a file, in one interval.
std::string encoded(const record::Recording& recording);

// Encoding and decoding gives the same, without damage.
void require_round_trip(const record::Recording& recording);

// A small snapshot with something in every field.
model::EpollSnapshot example_interval(uint64_t waits);
epoll_wait_record example_wait();

}  // namespace epulse::fuzz
