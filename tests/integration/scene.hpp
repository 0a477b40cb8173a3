#pragma once

#include <gtest/gtest.h>

#include <array>
#include <fstream>
#include <memory>
#include <regex>
#include <string>
#include <utility>
#include <vector>

#include "agent/kernel/facts.hpp"
#include "agent/kernel/process.hpp"
#include "tests/agent/temp_dir.hpp"
#include "tests/integration/program.hpp"

namespace epulse::test {

inline bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

inline bool bpf_allowed() {
  return kernel::detect().bpf_errno == 0;
}

// epulse-ws with two pinned workers, a load on it and hogs on the second worker's CPU, so that the
// agent has something to do.
class Scene {
 public:
  // `more` of the configuration comes last.
  explicit Scene(const std::string& more = "")
      : config_(directory_.file("epulse.toml")),
        // Who needs next to nothing of a CPU gets it at once, whoever else is there.
        server_(
            {EPULSE_WS, "--listen", "127.0.0.1:0", "--workers", "2", "--handler-delay-us", "200"}) {
    std::ofstream(config_)
        << "[agent]\ninterval_ms = 200\nstate_dir = \"" << directory_.file("state")
        << "\"\n[probes]\noverhead_budget = 0\n[tuner.affinity]\nwakeup_p99_us = 500\n"
        << more;
  }

  bool start() {
    if (!eventually([&] { return contains(server_.out(), "\n"); })) return false;
    const std::string line = server_.out();
    std::smatch match;
    if (!std::regex_search(line, match, std::regex("listening on (127\\.0\\.0\\.1:[0-9]+)")))
      return false;
    url_ = "ws://" + match[1].str() + "/";
    original_ = masks();
    const int cpu = original_.back().second.first();
    for (auto& hog : hogs_) {
      hog = std::make_unique<Program>(std::vector<std::string>{"taskset", "-c", std::to_string(cpu),
                                                               "sh", "-c", "while :; do :; done"});
    }
    load_ = std::make_unique<Program>(std::vector<std::string>{
        EPULSE_LOAD, url_, "-c", "20", "-r", "2000", "-d", "60", "--progress", "0"});
    return true;
  }

  std::unique_ptr<Program> agent(const std::string& mode,
                                 const std::string& backend = "auto") const {
    return std::make_unique<Program>(
        std::vector<std::string>{EPULSED, "-p", std::to_string(server_.pid()), "-c", config_,
                                 "--mode", mode, "--backend", backend});
  }

  std::string agent_command(const std::string& mode) const {
    return std::string(EPULSED) + " -p " + std::to_string(server_.pid()) + " -c " + config_ +
           " --mode " + mode;
  }

  using Masks = std::vector<std::pair<pid_t, model::CpuSet>>;
  Masks masks() const {
    Masks result;
    for (const pid_t tid : kernel::thread_ids(server_.pid())) {
      result.emplace_back(tid, kernel::thread_affinity(tid).value_or(model::CpuSet{}));
    }
    return result;
  }
  bool changed() const { return masks() != original_; }
  bool serves() const {
    Program load({EPULSE_LOAD, url_, "-c", "2", "-d", "0.3", "--progress", "0"});
    return load.wait() == 0;
  }
  pid_t server() const { return server_.pid(); }
  const std::string& config() const { return config_; }
  std::string state_dir() const { return directory_.file("state"); }

 private:
  TempDir directory_;
  std::string config_;
  Program server_;
  std::array<std::unique_ptr<Program>, 3> hogs_;
  std::unique_ptr<Program> load_;
  std::string url_;
  Masks original_;
};

}  // namespace epulse::test

#define SKIP_WITHOUT_BPF()                                                             \
  if (!bpf_allowed()) {                                                                \
    GTEST_SKIP() << "BPF is refused here: run as root outside a restricted container"; \
  }

#define SKIP_ON_ONE_CPU()                                                 \
  if (kernel::thread_affinity(0).value_or(model::CpuSet{}).count() < 2) { \
    GTEST_SKIP() << "one CPU: there is nowhere to move a worker to";      \
  }
