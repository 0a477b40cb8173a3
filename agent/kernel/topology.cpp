#include "agent/kernel/topology.hpp"

#include <fmt/format.h>

#include <charconv>
#include <filesystem>
#include <fstream>
#include <optional>
#include <string_view>

namespace epulse::kernel {
namespace {

namespace fs = std::filesystem;

std::string read_line(const std::string& path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

std::optional<int> number(std::string_view text) {
  int value = 0;
  const char* const end = text.data() + text.size();
  const auto [at, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc{} || at != end) return std::nullopt;
  return value;
}

// The N of entries PREFIX + N of a directory.
template <typename Visit>
void for_each_number(const std::string& directory, std::string_view prefix, Visit&& visit) {
  std::error_code none;
  for (const auto& entry : fs::directory_iterator(directory, none)) {
    const std::string name = entry.path().filename().string();
    if (!name.starts_with(prefix)) continue;
    if (const auto found = number(std::string_view(name).substr(prefix.size()))) visit(*found);
  }
}

// Of the caches that hold data, the one of the highest level.
model::CpuSet last_level_cache(const std::string& cpu) {
  int highest = 0;
  model::CpuSet shared;
  for_each_number(cpu + "/cache", "index", [&](int index) {
    const std::string cache = fmt::format("{}/cache/index{}", cpu, index);
    const int level = number(read_line(cache + "/level")).value_or(0);
    if (level <= highest || read_line(cache + "/type") == "Instruction") return;
    const auto cpus = model::CpuSet::parse(read_line(cache + "/shared_cpu_list"));
    if (!cpus) return;
    highest = level;
    shared = *cpus;
  });
  return shared;
}

}  // namespace

model::CpuTopology cpu_topology(const std::string& root) {
  model::CpuTopology topology;
  const std::string system = root + "/sys/devices/system/cpu";
  const auto online = model::CpuSet::parse(read_line(system + "/online"));
  if (!online) return topology;
  for (int cpu = online->first(); cpu >= 0; cpu = online->next(cpu)) {
    const std::string path = fmt::format("{}/cpu{}", system, cpu);
    // Without caches (some virtual machines show none), the package is the next best.
    model::CpuSet cache = last_level_cache(path);
    if (cache.empty()) {
      cache = model::CpuSet::parse(read_line(path + "/topology/package_cpus_list"))
                  .value_or(model::CpuSet{});
    }
    if (cache.empty()) continue;
    model::CpuTopology::Cpu& entry = topology.cpus[cpu];
    entry.cache = cache;
    entry.siblings = model::CpuSet::parse(read_line(path + "/topology/thread_siblings_list"))
                         .value_or(model::CpuSet::of(cpu));
    for_each_number(path, "node", [&](int node) { entry.node = node; });
  }
  return topology;
}

}  // namespace epulse::kernel
