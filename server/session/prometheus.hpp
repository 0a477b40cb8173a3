#pragma once

#include <span>
#include <string>

#include "server/contract/stats_page.h"

namespace epulse::server {

// Copies of the workers' pages in the text format of Prometheus (exposition format 0.0.4).
std::string prometheus_text(std::span<const epulse_stats_worker> workers);

}  // namespace epulse::server
