#pragma once

#include <string>
#include <vector>

namespace epulse::conformance {

struct Utf8Sequence {
  std::string name;  // Autobahn's number
  std::string bytes;
  bool valid = false;
};

// 6.5 to 6.23.
std::vector<Utf8Sequence> utf8_sequences();

}  // namespace epulse::conformance
