// Skips every test of the program where the engine that is to be tested cannot be had.
#include <gtest/gtest.h>

#include "tests/server/child.hpp"

namespace epulse::testing {
namespace {

// By what the server says: a ring of this process would interrupt the waits of the tests while it
// is being torn down (TIF_NOTIFY_SIGNAL).
class EngineEnvironment : public ::testing::Environment {
 public:
  void SetUp() override {
    if (engine_under_test().empty()) return;
    const std::string line = ServerChild().start_line();
    if (line.find(engine_under_test()) == std::string::npos) GTEST_SKIP() << line;
  }
};

const auto* const kEnvironment = ::testing::AddGlobalTestEnvironment(new EngineEnvironment);

}  // namespace
}  // namespace epulse::testing
