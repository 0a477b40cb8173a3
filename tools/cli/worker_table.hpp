#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "agent/export/record_format.hpp"
#include "agent/model/blame.hpp"
#include "agent/model/epoll_stats.hpp"
#include "tools/cli/table.hpp"

// The table of workers that `epulse stat` and `epulse top` show. Pure.
namespace epulse::cli {

enum class WorkerColumns {
  kOverview,  // `stat`: what says whether something is wrong, and where
  kStages,    // `stat --stage`: the five stages
  kTop,       // `top`: depth now as well, and how often it was woken
};

struct WorkerTableInput {
  const model::EpollSnapshot& interval;
  const record::ThreadNames& names;
  bool processes = false;      // say whose thread it is
  std::string time_text = {};  // of the first column; none when empty
  const std::map<model::WorkerKey, uint32_t>* depths_now = nullptr;  // absent: not told just now
  // Ends each row with a verdict; of the interval, by thread, the most stolen time first.
  const std::map<uint32_t, std::vector<model::Blame>>* blames = nullptr;
};

// A row for each worker that waited in the interval. What was not measured is "-".
Table worker_table(WorkerColumns columns, const WorkerTableInput& input);

// The column by which `top` sorts: ready to delivered.
size_t worst_column(const Table& table);

}  // namespace epulse::cli
