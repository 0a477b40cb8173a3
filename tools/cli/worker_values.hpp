#pragma once

#include "agent/export/record_format.hpp"
#include "agent/model/epoll_stats.hpp"
#include "tools/cli/json.hpp"
#include "tools/cli/named_values.hpp"

// A worker for programs; docs/metrics.md says what each metric means.
namespace epulse::cli {

// All but the stages that never happened; "wake-ups" is "wake_ups".
NamedValues worker_values(const model::WorkerStats& worker, const record::ThreadNames& names);

// The same as members of the object that `line` is in, stages and items as objects of their own,
// null where nothing was counted.
void add_worker(JsonLine& line, const model::WorkerStats& worker, const record::ThreadNames& names);

// A count, mean and quantiles; `unit` ends the names: "_ns".
void add_histogram(JsonLine& line, const model::Histogram& histogram, const char* unit);

// "wake-ups" as member names have it: "wake_ups".
std::string member_name(std::string_view name);

}  // namespace epulse::cli
