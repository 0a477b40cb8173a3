#include "agent/probes/program_cost.hpp"

#include <bpf/bpf.h>

#include <algorithm>
#include <map>
#include <numeric>
#include <string_view>

namespace epulse::probes {

std::vector<ProgramCost> program_costs(const bpf_object* object) {
  std::vector<ProgramCost> costs;
  bpf_program* program = nullptr;
  bpf_object__for_each_program(program, object) {
    if (!bpf_program__autoload(program)) continue;
    bpf_prog_info info{};
    uint32_t size = sizeof(info);
    if (bpf_obj_get_info_by_fd(bpf_program__fd(program), &info, &size) != 0) continue;
    costs.push_back(
        {bpf_program__name(program), info.run_cnt, info.run_time_ns, info.recursion_misses});
  }
  return costs;
}

uint64_t missed_runs(const std::vector<ProgramCost>& costs) {
  std::map<std::string_view, uint64_t> missed;  // by the name without its suffix
  constexpr std::string_view kAgain = "_again";
  for (const ProgramCost& cost : costs) {
    std::string_view name = cost.name;
    if (name.ends_with(kAgain)) name.remove_suffix(kAgain.size());
    const auto [other, first] = missed.emplace(name, cost.missed);
    if (!first) other->second = std::min(other->second, cost.missed);
  }
  return std::accumulate(missed.begin(), missed.end(), uint64_t{0},
                         [](uint64_t sum, const auto& each) { return sum + each.second; });
}

}  // namespace epulse::probes
