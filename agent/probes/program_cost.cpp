#include "agent/probes/program_cost.hpp"

#include <bpf/bpf.h>

#include <numeric>

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

uint64_t missed_runs(const bpf_object* object) {
  const std::vector<ProgramCost> costs = program_costs(object);
  return std::accumulate(costs.begin(), costs.end(), uint64_t{0},
                         [](uint64_t sum, const ProgramCost& cost) { return sum + cost.missed; });
}

}  // namespace epulse::probes
