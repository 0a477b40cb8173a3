// Every case of Autobahn, for epulse-ws and, in this process, for the client role.
#include <gtest/gtest.h>

#include <string>

#include "tests/conformance/autobahn.hpp"
#include "tests/conformance/client_endpoint.hpp"
#include "tests/conformance/server_endpoint.hpp"

namespace epulse::conformance {

std::string numbered(const std::string& prefix, std::size_t index) {
  return prefix + std::to_string(index + 1);
}

namespace {

std::string name_of(const ::testing::TestParamInfo<Case>& instance) {
  return instance.param.name;
}

class Autobahn : public ::testing::TestWithParam<Case> {};
class AutobahnClient : public ::testing::TestWithParam<Case> {};

TEST_P(Autobahn, Case) {
  ServerEndpoint server(Server::plain());
  GetParam().script().run(server);
}

TEST_P(AutobahnClient, Case) {
  ClientEndpoint client;
  GetParam().script().run(client);
}

// A macro, because gtest makes the names of what it instantiates with one.
#define EPULSE_AUTOBAHN_SECTION(name, cases)                                       \
  INSTANTIATE_TEST_SUITE_P(name, Autobahn, ::testing::ValuesIn(cases()), name_of); \
  INSTANTIATE_TEST_SUITE_P(name, AutobahnClient, ::testing::ValuesIn(cases()), name_of)

EPULSE_AUTOBAHN_SECTION(Section1, autobahn_framing);
EPULSE_AUTOBAHN_SECTION(Section2, autobahn_pings);
EPULSE_AUTOBAHN_SECTION(Sections3And4, autobahn_reserved);
EPULSE_AUTOBAHN_SECTION(Section5, autobahn_fragmentation);
EPULSE_AUTOBAHN_SECTION(Section6, autobahn_utf8);
EPULSE_AUTOBAHN_SECTION(Section7, autobahn_closing);
EPULSE_AUTOBAHN_SECTION(Sections9And10, autobahn_limits);

// Cases of the section's suite and test, whatever stands before its name: "*/Autobahn.Case".
std::size_t cases_of(const std::string& suite, const std::string& test) {
  std::size_t count = 0;
  const auto& all = *::testing::UnitTest::GetInstance();
  for (int i = 0; i < all.total_test_suite_count(); ++i) {
    const auto& tests = *all.GetTestSuite(i);
    if (!std::string(tests.name()).ends_with("/" + suite)) continue;
    for (int k = 0; k < tests.total_test_count(); ++k) {
      if (std::string(tests.GetTestInfo(k)->name()).starts_with(test + "/")) ++count;
    }
  }
  return count;
}

TEST(AutobahnTables, HaveAll517Cases) {
  constexpr std::size_t kPlain = 301;
  constexpr std::size_t kCompressed = 216;
  EXPECT_EQ(cases_of("Autobahn", "Case"), kPlain);
  EXPECT_EQ(cases_of("AutobahnClient", "Case"), kPlain);
  EXPECT_EQ(cases_of("AutobahnDeflate", "WithSharedCompressors"), kCompressed);
  EXPECT_EQ(cases_of("AutobahnDeflate", "WithDedicatedCompressors"), kCompressed);
  EXPECT_EQ(cases_of("AutobahnDeflateClient", "Echoes"), kCompressed);
}

}  // namespace
}  // namespace epulse::conformance
