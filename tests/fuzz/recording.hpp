#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "agent/export/record_reader.hpp"

// What several targets do with recordings.
namespace epulse::fuzz {

// All that a file holds, intervals summed.
struct Recording {
  record::Meta meta;
  record::ThreadNames names;
  model::EpollSnapshot total;
  size_t intervals = 0;
  std::vector<epoll_wait_record> waits;
  std::vector<record::WatchedConnection> connections;
  record::RecordCondition condition;
};

// Throws Error when this is no record file.
Recording parse_recording(std::string_view contents);

// `contents` without what the reader has found damaged.
std::string without_damage(std::string_view contents, const record::RecordCondition& condition);

// Everything but the condition and how many intervals it came in.
bool same_contents(const Recording& a, const Recording& b);

// As the record writer puts it into a file, in one interval.
std::string encoded(const Recording& recording);

// Encoding and decoding gives the same, without damage.
void require_round_trip(const Recording& recording);

// Writes all views of a record file, to standard output where there is a choice.
void show(std::string_view contents);

// A small snapshot with something in every field.
model::EpollSnapshot example_interval(uint64_t waits);
epoll_wait_record example_wait();

}  // namespace epulse::fuzz
