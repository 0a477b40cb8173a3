#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

namespace epulse::load {

// The open loop's timetable: `rate` messages per second, one after the other at even distances,
// dealt to `connections` in turn. It is fixed beforehand; what the server does cannot shift it.
// Several rates follow each other, each for `step_ns` and with a timetable of its own.
class Schedule {
 public:
  Schedule(std::vector<double> rates, std::uint64_t step_ns, std::uint32_t connections)
      : rates_(std::move(rates)), step_ns_(step_ns), connections_(connections) {}

  std::size_t steps() const { return rates_.size(); }

  // When message `k` that connection `index` has in a step is due, from the start of all; nothing
  // when the step ends before.
  std::optional<std::uint64_t> due_ns(std::size_t step, std::uint32_t index,
                                      std::uint64_t k) const {
    const std::uint64_t place = k * connections_ + index;
    const double in_step = static_cast<double>(place) * 1e9 / rates_[step];
    if (in_step >= static_cast<double>(step_ns_)) return std::nullopt;
    return step * step_ns_ + static_cast<std::uint64_t>(in_step);
  }

 private:
  std::vector<double> rates_;
  std::uint64_t step_ns_;
  std::uint32_t connections_;
};

}  // namespace epulse::load
