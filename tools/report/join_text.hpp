#pragma once

#include <string>

#include "tools/report/join.hpp"
#include "tools/report/json.hpp"

// What `epulse report --join` prints.
namespace epulse::report {

std::string join_text(const LoadRecord& load, const Deliveries& deliveries, const Join& join);

// One line: docs/schemas/epulse-report.json.
std::string join_json(const Read& file, const LoadRecord& load, const Deliveries& deliveries,
                      const Join& join);

}  // namespace epulse::report
