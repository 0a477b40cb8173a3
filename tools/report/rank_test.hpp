#pragma once

#include <vector>

namespace epulse::report {

// Mann and Whitney's rank test with the correction for ties: how many standard deviations `b` lies
// above `a`, negative when below. Asks nothing of the distributions, which latencies would not
// give. 0 when either is empty or all values are equal. The normal approximation holds from some 8
// values each on.
double rank_deviation(const std::vector<double>& a, const std::vector<double>& b);

double median(std::vector<double> values);  // 0 when empty

}  // namespace epulse::report
