#include "agent/kernel/topology.hpp"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "tests/agent/temp_dir.hpp"

namespace epulse::kernel {
namespace {

using model::CpuDistance;

// A made-up /sys/devices/system/cpu.
class Sysfs {
 public:
  void write(const std::string& file, const std::string& line) {
    const std::filesystem::path path = root() + "/sys/devices/system/cpu/" + file;
    std::filesystem::create_directories(path.parent_path());
    std::ofstream(path) << line << '\n';
  }
  // As of two hardware threads per core, with an instruction cache that must not be taken for one
  // of data.
  void add_cpu(int cpu, const std::string& siblings, const std::string& cache, int node) {
    const std::string name = "cpu" + std::to_string(cpu);
    write(name + "/topology/thread_siblings_list", siblings);
    write(name + "/cache/index0/level", "1");
    write(name + "/cache/index0/type", "Data");
    write(name + "/cache/index0/shared_cpu_list", siblings);
    write(name + "/cache/index1/level", "4");
    write(name + "/cache/index1/type", "Instruction");
    write(name + "/cache/index1/shared_cpu_list", "0-7");
    write(name + "/cache/index2/level", "3");
    write(name + "/cache/index2/type", "Unified");
    write(name + "/cache/index2/shared_cpu_list", cache);
    write(name + "/node" + std::to_string(node) + "/cpulist", "");
  }
  std::string root() const { return directory_.path(); }

 private:
  TempDir directory_;
};

TEST(CpuTopology, CoresCachesAndNodes) {
  Sysfs sysfs;
  sysfs.write("online", "0-5");
  sysfs.add_cpu(0, "0-1", "0-3", 0);
  sysfs.add_cpu(1, "0-1", "0-3", 0);
  sysfs.add_cpu(2, "2-3", "0-3", 0);
  sysfs.add_cpu(3, "2-3", "0-3", 0);
  sysfs.add_cpu(4, "4", "4", 0);
  sysfs.add_cpu(5, "5", "5", 1);
  const model::CpuTopology topology = cpu_topology(sysfs.root());
  EXPECT_EQ(topology.siblings(0).to_string(), "1");
  EXPECT_TRUE(topology.siblings(4).empty());
  EXPECT_EQ(topology.distance(0, 2), CpuDistance::kCache);
  EXPECT_EQ(topology.distance(0, 4), CpuDistance::kNode);
  EXPECT_EQ(topology.distance(0, 5), CpuDistance::kFar);
}

TEST(CpuTopology, WithoutCachesThePackageIsTheNextBest) {
  Sysfs sysfs;
  sysfs.write("online", "0-2");
  for (const int cpu : {0, 1}) {
    sysfs.write("cpu" + std::to_string(cpu) + "/topology/package_cpus_list", "0-1");
  }
  sysfs.write("cpu2/topology/package_cpus_list", "2");
  const model::CpuTopology topology = cpu_topology(sysfs.root());
  EXPECT_EQ(topology.distance(0, 1), CpuDistance::kCache);
  EXPECT_EQ(topology.distance(0, 2), CpuDistance::kNode);
}

TEST(CpuTopology, WhatIsNotToldMakesAllCpusAlike) {
  Sysfs sysfs;
  EXPECT_TRUE(cpu_topology(sysfs.root()).cpus.empty());
  sysfs.write("online", "nonsense");
  EXPECT_TRUE(cpu_topology(sysfs.root()).cpus.empty());
  sysfs.write("online", "0-1");
  const model::CpuTopology topology = cpu_topology(sysfs.root());
  EXPECT_EQ(topology.distance(0, 1), CpuDistance::kCache);
  EXPECT_TRUE(topology.siblings(0).empty());
}

TEST(CpuTopology, ThisHostHasOne) {
  const model::CpuTopology topology = cpu_topology();
  if (topology.cpus.empty()) GTEST_SKIP() << "this host's sysfs shows no caches and no packages";
  for (const auto& [cpu, entry] : topology.cpus) EXPECT_TRUE(entry.cache.contains(cpu)) << cpu;
}

}  // namespace
}  // namespace epulse::kernel
