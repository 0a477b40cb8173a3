#pragma once

#include <cstdint>
#include <map>
#include <vector>

namespace epulse::report {

// When threads were in their handlers, whatever instance they had the events of.
class HandlerTimes {
 public:
  // In the order of time, for each thread; none overlap.
  void add(uint32_t tid, uint64_t from_ns, uint64_t length_ns);

  // So long was the thread in its handlers between two instants.
  uint64_t between(uint32_t tid, uint64_t from_ns, uint64_t to_ns) const;

 private:
  struct Handler {
    uint64_t from_ns = 0;
    uint64_t length_ns = 0;
    uint64_t before_ns = 0;  // all before it
  };
  static uint64_t until(const std::vector<Handler>& handlers, uint64_t ns);

  std::map<uint32_t, std::vector<Handler>> threads_;
};

}  // namespace epulse::report
