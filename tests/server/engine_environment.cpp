// Skips every test of the program where the engine that is to be tested cannot be had.
#include <gtest/gtest.h>

#include "server/engine/engines.hpp"
#include "tests/server/child.hpp"

namespace epulse::testing {
namespace {

class EngineEnvironment : public ::testing::Environment {
 public:
  void SetUp() override {
    if (engine_under_test() != engine_name(server::EngineKind::kUring)) return;
    const std::string reason = server::why_unavailable({.kind = server::EngineKind::kUring});
    if (!reason.empty()) GTEST_SKIP() << reason;
  }
};

const auto* const kEnvironment = ::testing::AddGlobalTestEnvironment(new EngineEnvironment);

}  // namespace
}  // namespace epulse::testing
