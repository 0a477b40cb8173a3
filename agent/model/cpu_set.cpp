#include "agent/model/cpu_set.hpp"

#include <charconv>

namespace epulse::model {

CpuSet CpuSet::of(int cpu) {
  CpuSet set;
  set.add(cpu);
  return set;
}

std::optional<CpuSet> CpuSet::parse(std::string_view list) {
  CpuSet set;
  const char* at = list.data();
  const char* const end = at + list.size();
  const auto number = [&](int& value) {
    const auto [next, error] = std::from_chars(at, end, value);
    if (error != std::errc{} || value < 0 || value >= kCapacity) return false;
    at = next;
    return true;
  };
  while (at != end) {
    int low = 0;
    if (!number(low)) return std::nullopt;
    int high = low;
    if (at != end && *at == '-') {
      ++at;
      if (!number(high) || high < low) return std::nullopt;
    }
    for (int cpu = low; cpu <= high; ++cpu) set.add(cpu);
    if (at == end) break;
    if (*at != ',' || ++at == end) return std::nullopt;
  }
  return set;
}

CpuSet CpuSet::from_native(const cpu_set_t& native) {
  CpuSet set;
  for (int cpu = 0; cpu < kCapacity; ++cpu) {
    if (CPU_ISSET(static_cast<size_t>(cpu), &native)) set.add(cpu);
  }
  return set;
}

cpu_set_t CpuSet::native() const {
  cpu_set_t native;
  CPU_ZERO(&native);
  for (int cpu = first(); cpu >= 0; cpu = next(cpu)) {
    CPU_SET(static_cast<size_t>(cpu), &native);
  }
  return native;
}

std::string CpuSet::to_string() const {
  std::string text;
  for (int low = first(); low >= 0;) {
    int high = low;
    while (contains(high + 1)) ++high;
    if (!text.empty()) text += ',';
    text += std::to_string(low);
    if (high > low) text += (high == low + 1 ? ',' : '-') + std::to_string(high);
    low = next(high);
  }
  return text;
}

int CpuSet::next(int after) const {
  for (int cpu = after + 1; cpu < kCapacity; ++cpu) {
    if (contains(cpu)) return cpu;
  }
  return -1;
}

CpuSet CpuSet::operator&(const CpuSet& other) const {
  CpuSet both;
  both.bits_ = bits_ & other.bits_;
  return both;
}

}  // namespace epulse::model
