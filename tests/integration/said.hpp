#pragma once

#include <string>
#include <utility>
#include <vector>

#include "tests/integration/program.hpp"

namespace epulse::test {

// What a command has said, and its exit status.
struct Said {
  int status = 0;
  std::string out;
  std::string err;
};

inline Said run(std::vector<std::string> command) {
  Program program(std::move(command));
  const int status = program.wait();
  return {status, program.out(), program.err()};
}

}  // namespace epulse::test
