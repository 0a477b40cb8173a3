#include "tools/report/rank_test.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

namespace epulse::report {

double rank_deviation(const std::vector<double>& a, const std::vector<double>& b) {
  std::vector<std::pair<double, bool>> all;  // value, of b
  for (const double value : a) all.emplace_back(value, false);
  for (const double value : b) all.emplace_back(value, true);
  std::sort(all.begin(), all.end());
  const auto n = static_cast<double>(all.size());
  const auto n_a = static_cast<double>(a.size());
  const auto n_b = static_cast<double>(b.size());
  double ranks_b = 0;
  double ties = 0;
  for (size_t i = 0; i < all.size();) {
    size_t end = i;
    double of_b = 0;
    while (end < all.size() && all[end].first == all[i].first) of_b += all[end++].second ? 1 : 0;
    const auto equal = static_cast<double>(end - i);
    // Equal ones share the mean of their ranks, which begin with 1.
    ranks_b += of_b * (static_cast<double>(i + end + 1) / 2);
    ties += equal * equal * equal - equal;
    i = end;
  }
  if (a.empty() || b.empty()) return 0;
  const double u = ranks_b - n_b * (n_b + 1) / 2;
  const double variance = n_a * n_b / 12 * (n + 1 - ties / (n * (n - 1)));
  return variance <= 0 ? 0 : (u - n_a * n_b / 2) / std::sqrt(variance);
}

double median(std::vector<double> values) {
  if (values.empty()) return 0;
  std::sort(values.begin(), values.end());
  const size_t middle = values.size() / 2;
  return values.size() % 2 == 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
}

}  // namespace epulse::report
