#pragma once

#include <sched.h>

#include <bitset>
#include <optional>
#include <string>
#include <string_view>

namespace epulse::model {

// A set of CPUs, at most CPU_SETSIZE (1,024), as sched_setaffinity(2) takes it.
class CpuSet {
 public:
  static constexpr int kCapacity = CPU_SETSIZE;

  CpuSet() = default;
  static CpuSet of(int cpu);
  // The kernel's list form, "0-3,8"; nullopt when malformed, reversed or beyond kCapacity.
  static std::optional<CpuSet> parse(std::string_view list);
  static CpuSet from_native(const cpu_set_t& native);

  cpu_set_t native() const;
  std::string to_string() const;

  void add(int cpu) { bits_.set(static_cast<size_t>(cpu)); }
  void remove(int cpu) { bits_.reset(static_cast<size_t>(cpu)); }
  bool contains(int cpu) const {
    return cpu >= 0 && cpu < kCapacity && bits_.test(static_cast<size_t>(cpu));
  }
  int count() const { return static_cast<int>(bits_.count()); }
  bool empty() const { return bits_.none(); }
  // The lowest CPU above `after`, -1 when there is none; first() == next(-1).
  int next(int after) const;
  int first() const { return next(-1); }

  CpuSet operator&(const CpuSet& other) const;
  bool operator==(const CpuSet& other) const = default;

 private:
  std::bitset<kCapacity> bits_;
};

}  // namespace epulse::model
