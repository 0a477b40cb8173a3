#pragma once

#include <cstdint>
#include <vector>

#include "agent/tuners/proposal.hpp"

namespace epulse::tuners {

struct Findings {
  std::vector<Proposal> news;
  std::vector<Proposal> standing;  // what was said before, and still holds
};

// Advice that is repeated each time is noise: says what has held for several times in a row, once,
// and again when it has been gone or after an hour. Pure.
class Persistence {
 public:
  // All that holds now.
  Findings step(std::vector<Proposal> found, uint64_t now_ns);

 private:
  struct Memory {
    std::string scenario;
    std::string target;
    int seen = 0;  // consecutive times
    bool said = false;
    uint64_t said_ns = 0;
  };

  std::vector<Memory> memory_;
};

}  // namespace epulse::tuners
