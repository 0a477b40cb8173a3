#include "agent/model/blame.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "agent/model/text.hpp"

namespace epulse::model {
namespace {

void sort(std::vector<Blame>& blames) {
  std::stable_sort(blames.begin(), blames.end(),
                   [](const Blame& a, const Blame& b) { return a.ns > b.ns; });
}

}  // namespace

std::vector<Blame> BlameIntervals::advance(const std::vector<Blame>& cumulative) {
  std::vector<Blame> news;
  std::map<std::pair<uint32_t, uint32_t>, Blame> seen;
  for (const Blame& blame : cumulative) {
    const std::pair key{blame.victim, blame.culprit};
    seen.emplace(key, blame);
    Blame change = blame;
    // Less than before: pushed out of the kernel's table, and new in it since.
    const auto before = last_.find(key);
    if (before != last_.end() && before->second.ns <= blame.ns) {
      change.ns -= before->second.ns;
      change.times -= std::min(change.times, before->second.times);
    }
    if (change.ns != 0) news.push_back(std::move(change));
  }
  last_ = std::move(seen);
  sort(news);
  return news;
}

std::vector<Blame> by_culprit(const std::vector<Blame>& blames) {
  std::map<uint32_t, Blame> sums;
  for (const Blame& blame : blames) {
    Blame& sum =
        sums.try_emplace(blame.culprit, Blame{0, blame.culprit, blame.comm, 0, 0}).first->second;
    sum.ns += blame.ns;
    sum.times += blame.times;
  }
  std::vector<Blame> result;
  result.reserve(sums.size());
  for (auto& [culprit, sum] : sums) result.push_back(std::move(sum));
  sort(result);
  return result;
}

std::string text_of(const std::vector<Blame>& blames, uint64_t duration_ns, size_t most) {
  std::string text;
  for (size_t i = 0; i < std::min(most, blames.size()); ++i) {
    const Blame& blame = blames[i];
    const double per_second = static_cast<double>(blame.ns) * 1e3 /
                              static_cast<double>(std::max<uint64_t>(duration_ns, 1));
    text += fmt::format("{}{} {:.1f} ms/s", text.empty() ? "" : ", ",
                        blame.culprit == 0
                            ? "an idle CPU that was slow to wake"
                            : fmt::format("{}[{}]", printable(blame.comm), blame.culprit),
                        per_second);
  }
  return text;
}

}  // namespace epulse::model
