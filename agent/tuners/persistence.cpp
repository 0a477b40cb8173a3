#include "agent/tuners/persistence.hpp"

#include <algorithm>

namespace epulse::tuners {
namespace {

constexpr int kTimesMin = 3;
constexpr uint64_t kRepeatNs = 3'600'000'000'000;

}  // namespace

Findings Persistence::step(std::vector<Proposal> found, uint64_t now_ns) {
  Findings findings;
  std::vector<Memory> memory;
  for (Proposal& proposal : found) {
    const auto before = std::find_if(memory_.begin(), memory_.end(), [&](const Memory& known) {
      return known.scenario == proposal.scenario && known.target == proposal.target;
    });
    Memory known = before != memory_.end()
                       ? *before
                       : Memory{.scenario = proposal.scenario, .target = proposal.target};
    known.seen = std::min(known.seen + 1, kTimesMin);
    const bool due = !known.said || now_ns - known.said_ns >= kRepeatNs;
    if (known.seen == kTimesMin && due) {
      known.said = true;
      known.said_ns = now_ns;
      findings.news.push_back(std::move(proposal));
    } else if (known.said) {
      findings.standing.push_back(std::move(proposal));
    }
    memory.push_back(std::move(known));
  }
  memory_ = std::move(memory);
  return findings;
}

}  // namespace epulse::tuners
