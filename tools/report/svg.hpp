#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "tools/report/timeline.hpp"

// Charts as inline SVG: no script, no font, nothing fetched. Colours are classes of the page's
// style.
namespace epulse::report {

// For text and for attribute values between double quotes.
std::string html_escape(std::string_view text);

// One stage over time: each column is a histogram, the darker the more events. `id` is the
// element's.
std::string heat_map_svg(std::string_view id, std::string_view title,
                         const std::vector<TimelineColumn>& columns, epoll_stage stage);

// Queue depth over time: p50, p99 and maximum.
std::string depth_svg(std::string_view id, const std::vector<TimelineColumn>& columns);

// Where a worker's time went: the sum of each stage, as shares of all.
std::string stages_svg(std::string_view id, const model::WorkerStats& worker);

// The stages of stages_svg, which add up to a worker's time; the i-th has class "s<i>".
inline constexpr epoll_stage kBreakdown[] = {EPOLL_STAGE_READY_TO_WOKEN,
                                             EPOLL_STAGE_WOKEN_TO_RUNNING,
                                             EPOLL_STAGE_RUNNING_TO_DELIVERED, EPOLL_STAGE_HANDLER};

}  // namespace epulse::report
