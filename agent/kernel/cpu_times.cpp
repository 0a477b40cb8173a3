#include "agent/kernel/cpu_times.hpp"

#include <array>
#include <fstream>
#include <sstream>

namespace epulse::kernel {

// "cpu0 user nice system idle iowait irq softirq steal guest guest_nice"; guest is part of user.
std::map<int, CpuTimes> cpu_times(const std::string& proc) {
  std::map<int, CpuTimes> cpus;
  std::ifstream file(proc + "/stat");
  for (std::string line; std::getline(file, line);) {
    if (!line.starts_with("cpu") || line[3] == ' ') continue;
    std::istringstream fields(line.substr(3));
    int cpu = 0;
    fields >> cpu;
    std::array<uint64_t, 8> ticks{};
    for (uint64_t& value : ticks) fields >> value;
    CpuTimes times;
    for (const uint64_t value : ticks) times.total += value;
    times.busy = times.total - ticks[3] - ticks[4];
    times.softirq = ticks[6];
    times.steal = ticks[7];
    cpus.emplace(cpu, times);
  }
  return cpus;
}

}  // namespace epulse::kernel
