#pragma once

#include <string>

#include "tools/report/summary.hpp"

namespace epulse::report {

// The report as one page that needs nothing else: inline style and SVG, no script, and a policy
// that forbids the browser to fetch anything. `damage`: what is wrong with the file, empty when
// nothing.
std::string html_page(const Summary& summary, const std::string& damage);

}  // namespace epulse::report
