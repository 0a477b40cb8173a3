#pragma once

#include <string_view>
#include <vector>

namespace epulse::config {

// The candidate that `word` most likely meant; empty when none is close enough to suggest.
std::string_view nearest(std::string_view word, const std::vector<std::string_view>& candidates);

}  // namespace epulse::config
