#pragma once

#include <cstdint>

namespace epulse::load {

// The open loop's timetable: `rate` messages per second, one after the other at even distances,
// dealt to `connections` in turn. It is fixed beforehand; what the server does cannot shift it.
class Schedule {
 public:
  Schedule(double rate, std::uint32_t connections)
      : period_ns_(1e9 / rate), connections_(connections) {}

  // When message `k` of connection `index` is due, from the start.
  std::uint64_t due_ns(std::uint32_t index, std::uint64_t k) const {
    const std::uint64_t place = k * connections_ + index;
    return static_cast<std::uint64_t>(static_cast<double>(place) * period_ns_);
  }

 private:
  double period_ns_;
  std::uint32_t connections_;
};

}  // namespace epulse::load
