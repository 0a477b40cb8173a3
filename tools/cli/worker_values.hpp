#pragma once

#include <string_view>
#include <vector>

#include "agent/export/record_format.hpp"
#include "agent/model/epoll_stats.hpp"
#include "common/json_line.hpp"
#include "tools/cli/named_values.hpp"

// A worker for programs; docs/metrics.md says what each metric means.
namespace epulse::cli {

// All but the stages that never happened; "wake-ups" is "wake_ups".
NamedValues worker_values(const model::WorkerStats& worker, const record::ThreadNames& names);

// The same as members of the object that `line` is in, stages and items as objects of their own,
// null where nothing was counted.
void add_worker(JsonLine& line, const model::WorkerStats& worker, const record::ThreadNames& names);

// Of these, stages and items alone.
void add_stages(JsonLine& line, const model::WorkerStats& worker);

// Who waits on what, as members.
void add_thread(JsonLine& line, uint32_t tid, int32_t epfd, const record::ThreadNames& names);

// A single wait as members: stages in ns, null where they did not occur.
void add_wait(JsonLine& line, const epoll_wait_record& wait, const record::ThreadNames& names);

// Why it is told by itself: "deep", "late", "sampled".
std::vector<std::string_view> reasons_of(const epoll_wait_record& wait);

// What the probes could not count, as an object.
void add_losses(JsonLine& line, const model::EpollLosses& losses);

// A count, mean and quantiles; `unit` ends the names: "_ns".
void add_histogram(JsonLine& line, const model::Histogram& histogram, const char* unit);

// "SQ wake-ups" as member names have it: "sq_wake_ups".
std::string member_name(std::string_view name);

}  // namespace epulse::cli
