#pragma once

#include <fmt/format.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <string>
#include <thread>

namespace epulse {

// A cpuset of the test's own, by cgroup v1 or v2; removed with the object, once nobody is in it.
class CpusetGroup {
 public:
  CpusetGroup() {
    for (const char* const root : {"/sys/fs/cgroup/cpuset", "/sys/fs/cgroup"}) {
      path_ = fmt::format("{}/epulse-test-{}", root, getpid());
      std::error_code error;
      std::filesystem::create_directory(path_, error);
      // v1 has no memory nodes to begin with; v2 has no such need.
      if (!error && set("cpuset.mems", "0")) return;
      std::filesystem::remove(path_, error);
    }
    path_.clear();
  }
  CpusetGroup(const CpusetGroup&) = delete;
  CpusetGroup& operator=(const CpusetGroup&) = delete;
  ~CpusetGroup() {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(10);
    while (!path_.empty() && rmdir(path_.c_str()) != 0 &&
           std::chrono::steady_clock::now() < deadline) {
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
  }

  explicit operator bool() const { return !path_.empty(); }
  bool set(const char* file, const std::string& value) const {
    std::ofstream out(path_ + "/" + file);
    out << value << std::flush;
    return out.good();
  }

 private:
  std::string path_;
};

}  // namespace epulse
