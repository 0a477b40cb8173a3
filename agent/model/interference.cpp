#include "agent/model/interference.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace epulse::model {
namespace {

constexpr double kShareMin = 0.005;
constexpr size_t kCpusMax = 4;

// "softirqs 4.1 % of CPU 1, 2.2 % of CPU 0": the highest first.
std::string shares_text(const char* what, std::vector<Interference::Cpu> cpus,
                        double Interference::Cpu::*share) {
  std::erase_if(cpus, [&](const auto& cpu) { return cpu.*share < kShareMin; });
  std::stable_sort(cpus.begin(), cpus.end(),
                   [&](const auto& a, const auto& b) { return a.*share > b.*share; });
  std::string text;
  for (size_t i = 0; i < std::min(kCpusMax, cpus.size()); ++i) {
    text += fmt::format("{}{:.1f} % of CPU {}", i == 0 ? "" : ", ", 100 * (cpus[i].*share),
                        cpus[i].cpu);
  }
  return text.empty() ? text : fmt::format("{} {}", what, text);
}

}  // namespace

std::string text_of(const Interference& interference) {
  std::string text;
  const auto add = [&](const std::string& part) {
    if (!part.empty()) text += (text.empty() ? "" : "; ") + part;
  };
  add(shares_text("softirqs", interference.cpus, &Interference::Cpu::softirq_share));
  add(shares_text("hypervisor", interference.cpus, &Interference::Cpu::steal_share));
  if (interference.throttled_times != 0 || interference.throttled_ns != 0) {
    add(fmt::format("CPU quota: throttled {} times, {:.1f} ms/s", interference.throttled_times,
                    static_cast<double>(interference.throttled_ns) / 1e6 /
                        std::max(interference.seconds, 1e-9)));
  }
  return text;
}

}  // namespace epulse::model
