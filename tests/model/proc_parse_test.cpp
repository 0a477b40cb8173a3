#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sched.h>

#include <filesystem>
#include <fstream>

#include "agent/kernel/cpu_times.hpp"
#include "agent/kernel/cpuset.hpp"
#include "agent/kernel/kallsyms.hpp"
#include "agent/kernel/process.hpp"
#include "agent/kernel/throttling.hpp"
#include "agent/model/interference.hpp"

namespace epulse::kernel {
namespace {

// A directory that stands for the file system's root, removed in the end.
class FakeRoot {
 public:
  FakeRoot() {
    std::string name = (std::filesystem::temp_directory_path() / "epulse-test-XXXXXX").string();
    path_ = mkdtemp(name.data());
  }
  ~FakeRoot() { std::filesystem::remove_all(path_); }
  FakeRoot(const FakeRoot&) = delete;
  FakeRoot& operator=(const FakeRoot&) = delete;

  void write(const std::string& file, const std::string& text) const {
    const auto full = std::filesystem::path(path_ + file);
    std::filesystem::create_directories(full.parent_path());
    std::ofstream(full) << text;
  }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

TEST(CpuTimes, OfEachCpu) {
  const FakeRoot root;
  root.write("/proc/stat",
             "cpu  30 0 0 0 0 0 0 0 0 0\ncpu0 10 1 20 400 5 2 30 40 7 0\n"
             "cpu11 1 0 0 0 0 0 0 0 0 0\nintr 1 2 3\nctxt 5\n");
  const auto cpus = cpu_times(root.path() + "/proc");
  ASSERT_EQ(cpus.size(), 2U);
  EXPECT_EQ(cpus.at(0).total, 508U);
  EXPECT_EQ(cpus.at(0).busy, 103U);
  EXPECT_EQ(cpus.at(0).softirq, 30U);
  EXPECT_EQ(cpus.at(0).steal, 40U);
  EXPECT_EQ(cpus.at(11).total, 1U);
  EXPECT_TRUE(cpu_times(root.path() + "/none").empty());
}

TEST(Throttling, OfTheGroupAndAllAboveItVersion2) {
  const FakeRoot root;
  root.write("/proc/7/cgroup", "0::/web.slice/nginx.service\n");
  const std::string groups = root.path() + "/cgroup";
  root.write("/cgroup/cpu.stat", "usage_usec 5\n");
  root.write("/cgroup/web.slice/cpu.stat",
             "usage_usec 5\nnr_periods 9\nnr_throttled 2\nthrottled_usec 30\n");
  root.write("/cgroup/web.slice/nginx.service/cpu.stat", "nr_throttled 1\nthrottled_usec 4\n");
  const auto files = throttling_files(7, root.path() + "/proc", groups);
  ASSERT_EQ(files,
            (std::vector<std::string>{groups + "/web.slice/nginx.service/cpu.stat",
                                      groups + "/web.slice/cpu.stat", groups + "/cpu.stat"}));
  EXPECT_EQ(read_throttling(files[0]).times, 1U);
  EXPECT_EQ(read_throttling(files[1]).times, 2U);
  EXPECT_EQ(read_throttling(files[1]).ns, 30'000U);
  EXPECT_EQ(read_throttling(files[2]).times, 0U);
}

TEST(Throttling, OfTheCpuControllerVersion1) {
  const FakeRoot root;
  root.write("/proc/7/cgroup",
             "4:memory:/m\n3:cpuset:/\n2:cpu,cpuacct:/docker/a\n1:name=systemd:/x\n0::/\n");
  const std::string groups = root.path() + "/cgroup";
  root.write("/cgroup/cpu,cpuacct/docker/a/cpu.stat",
             "nr_periods 9\nnr_throttled 5\nthrottled_time 1234\n");
  root.write("/cgroup/cpu,cpuacct/docker/cpu.stat", "nr_throttled 0\nthrottled_time 0\n");
  root.write("/cgroup/memory/m/cpu.stat", "nr_throttled 100\n");
  const auto files = throttling_files(7, root.path() + "/proc", groups);
  ASSERT_EQ(files.size(), 3U);
  EXPECT_EQ(read_throttling(files[0]).times, 5U);
  EXPECT_EQ(read_throttling(files[0]).ns, 1234U);
  EXPECT_TRUE(throttling_files(8, root.path() + "/proc", groups).empty());
}

// As seen from within a container that has a cgroup namespace.
TEST(Throttling, OfTheTopmostGroup) {
  const FakeRoot root;
  root.write("/proc/7/cgroup", "0::/\n");
  root.write("/cgroup/cpu.stat", "nr_throttled 8\nthrottled_usec 1\n");
  const auto files = throttling_files(7, root.path() + "/proc", root.path() + "/cgroup");
  ASSERT_EQ(files.size(), 1U);
  EXPECT_EQ(read_throttling(files[0]).times, 8U);
}

TEST(Interference, Text) {
  model::Interference interference;
  EXPECT_EQ(text_of(interference), "");
  interference.seconds = 2;
  interference.cpus = {{0, 0.02, 0.001}, {1, 0.041, 0}, {2, 0.004, 0}};
  EXPECT_EQ(text_of(interference), "softirqs 4.1 % of CPU 1, 2.0 % of CPU 0");
  interference.throttled_times = 24;
  interference.throttled_ns = 240'000'000;
  interference.cpus[0].steal_share = 0.02;
  EXPECT_EQ(text_of(interference),
            "softirqs 4.1 % of CPU 1, 2.0 % of CPU 0; hypervisor 2.0 % of CPU 0; CPU quota: "
            "throttled 24 times, 120.0 ms/s");
}

TEST(ThreadStat, NamesMayHoldSpacesAndBrackets) {
  const auto stat = parse_thread_stat(
      "4711 (ws) worker (1) R 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 987654 20 21 22 23 24 "
      "25 26 "
      "27 28 29 30 31 32 33 34 35 3 0 0");
  ASSERT_TRUE(stat);
  EXPECT_EQ(stat->name, "ws) worker (1");
  EXPECT_EQ(stat->state, 'R');
  EXPECT_EQ(stat->start_ticks, 987654U);
  EXPECT_EQ(stat->cpu, 3);
  EXPECT_FALSE(stat->real_time);
}

TEST(ThreadStat, TellsTheRealTimeClasses) {
  const auto is_real_time = [](int policy) {
    std::string text = "4711 (sh) R";
    for (int field = 4; field <= 38; ++field) text += " 0";
    return parse_thread_stat(text + fmt::format(" 1 50 {} 0 0", policy))->real_time;
  };
  EXPECT_FALSE(is_real_time(SCHED_OTHER));
  EXPECT_FALSE(is_real_time(SCHED_BATCH));
  EXPECT_FALSE(is_real_time(SCHED_IDLE));
  EXPECT_TRUE(is_real_time(SCHED_FIFO));
  EXPECT_TRUE(is_real_time(SCHED_RR));
  EXPECT_TRUE(is_real_time(6)) << "SCHED_DEADLINE";
}

TEST(ThreadStat, WhatIsCutShortIsRefused) {
  EXPECT_FALSE(parse_thread_stat(""));
  EXPECT_FALSE(parse_thread_stat("4711 (ws"));
  EXPECT_FALSE(parse_thread_stat("4711 (ws) R 1 2 3"));
}

TEST(Kallsyms, WholeNamesOnly) {
  const FakeRoot root;
  root.write("/kallsyms",
             "ffffffff81000000 T ep_poll_callback_other\nffffffff81000010 t ep_poll_callback\n"
             "0000000000000000 t hidden\nffffffff81000020 t in_a_module\t[module]\n");
  const auto found =
      kernel_addresses({"ep_poll_callback", "hidden", "absent"}, root.path() + "/kallsyms");
  EXPECT_EQ(found.at("ep_poll_callback"), 0xffffffff81000010U);
  EXPECT_EQ(found.at("hidden"), 0U);
  EXPECT_EQ(found.at("absent"), 0U);
}

TEST(Cpuset, OfTheNearestGroupThatHasOne) {
  const FakeRoot root;
  root.write("/proc/1/cgroup", "0::/a/b\n");
  root.write("/sys/fs/cgroup/a/cpuset.cpus.effective", "2-3\n");
  EXPECT_EQ(usable_cpus(1, root.path()).to_string(), "2,3");
  root.write("/sys/fs/cgroup/a/b/cpuset.cpus.effective", "3\n");
  EXPECT_EQ(usable_cpus(1, root.path()).to_string(), "3");
}

TEST(Cpuset, VersionOneAndNone) {
  const FakeRoot root;
  root.write("/proc/1/cgroup", "5:cpu:/x\n4:cpuset:/x\n0::/\n");
  root.write("/sys/devices/system/cpu/online", "0-7\n");
  EXPECT_EQ(usable_cpus(1, root.path()).to_string(), "0-7");
  root.write("/sys/fs/cgroup/cpuset/x/cpuset.effective_cpus", "0-1\n");
  EXPECT_EQ(usable_cpus(1, root.path()).to_string(), "0,1");
}

}  // namespace
}  // namespace epulse::kernel
