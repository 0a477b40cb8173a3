// Skips every test of the program where the load's engine that is to be tested cannot be had.
#include <gtest/gtest.h>

#include <cstdlib>
#include <string>

#include "tests/load/load_child.hpp"
#include "tests/server/child.hpp"

namespace epulse::testing {
namespace {

class EngineEnvironment : public ::testing::Environment {
 public:
  void SetUp() override {
    if (std::getenv("EPULSE_LOAD_ENGINE") == nullptr) return;
    // Nobody listens there; before it finds that out, it says that it has no such engine.
    Child load(load_command("tcp://127.0.0.1:1/", {"-c", "1"}));
    load.wait();
    if (load.err().find("cannot use --engine") != std::string::npos) GTEST_SKIP() << load.err();
  }
};

const auto* const kEnvironment = ::testing::AddGlobalTestEnvironment(new EngineEnvironment);

}  // namespace
}  // namespace epulse::testing
