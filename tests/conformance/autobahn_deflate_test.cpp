// Autobahn's sections 12 and 13: compressed messages of all sizes, whole and in fragments, echoed
// one after the other. 12 has different contents, 13 has different parameters.
#include <gtest/gtest.h>

#include <algorithm>
#include <ostream>

#include "server/ws/client_handshake.hpp"
#include "tests/conformance/autobahn.hpp"
#include "tests/conformance/content.hpp"
#include "tests/conformance/server_endpoint.hpp"
#include "tests/server/deflate_end.hpp"

namespace epulse::conformance {
namespace {

using testing::End;
using testing::Seen;
using testing::TestClient;
using ws::DeflateTerms;

// What Autobahn's client asks of a server, and what its server asks of a client that offers all.
// It allows a peer to ask it for any of that in every case.
struct Parameters {
  bool no_context_takeover;
  std::uint8_t max_window_bits;  // 0: does not ask
};
constexpr std::array<Parameters, 6> kParameters = {
    {{false, 0}, {true, 0}, {false, 9}, {false, 15}, {true, 9}, {true, 15}}};

struct DeflateCase {
  std::string name;
  std::size_t content = 0;
  std::vector<Parameters> offers;  // the preferred one first
  std::size_t size = 0;
  std::size_t fragment = 0;  // 0: whole messages
};

void PrintTo(const DeflateCase& deflate_case, std::ostream* out) {
  *out << deflate_case.name;
}

void add_sizes(std::vector<DeflateCase>& cases, const DeflateCase& base) {
  constexpr std::array<std::pair<std::size_t, std::size_t>, 18> kSizesAndFragments = {
      {{16, 0},
       {64, 0},
       {256, 0},
       {1024, 0},
       {4096, 0},
       {8192, 0},
       {16384, 0},
       {32768, 0},
       {65536, 0},
       {131072, 0},
       {8192, 256},
       {16384, 256},
       {32768, 256},
       {65536, 256},
       {131072, 256},
       {131072, 1024},
       {131072, 4096},
       {131072, 32768}}};
  for (std::size_t i = 0; i < kSizesAndFragments.size(); ++i) {
    DeflateCase one = base;
    one.name = numbered(base.name, i);
    std::tie(one.size, one.fragment) = kSizesAndFragments[i];
    cases.push_back(std::move(one));
  }
}

std::vector<DeflateCase> deflate_cases() {
  std::vector<DeflateCase> cases;
  for (std::size_t i = 0; i < contents().size(); ++i) {
    add_sizes(cases, {.name = numbered("12_", i) + "_", .content = i, .offers = {kParameters[0]}});
  }
  for (std::size_t i = 0; i < kParameters.size(); ++i) {
    add_sizes(cases, {.name = numbered("13_", i) + "_", .offers = {kParameters[i]}});
  }
  add_sizes(cases, {.name = "13_7_", .offers = {kParameters[4], kParameters[1], kParameters[0]}});
  return cases;
}

// Autobahn sends 1000 of each.
std::size_t messages_of(const DeflateCase& deflate_case) {
  constexpr std::size_t kBytes = 200'000;
  if (is_full_run()) return 1000;
  return std::clamp<std::size_t>(kBytes / deflate_case.size, 3, 50);
}

DeflateTerms offer_of(const Parameters& parameters) {
  return {parameters.no_context_takeover, true, parameters.max_window_bits, 15};
}

// The field with all offers; upgrade_request() makes one only.
std::string request_with(const std::vector<Parameters>& offers) {
  std::string request = ws::upgrade_request("localhost", "/", "dGhlIHNhbXBsZSBub25jZQ==");
  std::string field = "Sec-WebSocket-Extensions: ";
  for (const Parameters& parameters : offers) {
    field.append(ws::deflate_text(offer_of(parameters)).text()).append(", ");
  }
  return request.insert(request.size() - 2, field + "\r\n");
}

void expect_echoes(Server& server, const DeflateCase& deflate_case) {
  const DeflateTerms first = offer_of(deflate_case.offers[0]);
  TestClient client =
      TestClient::shake_hands(server.port(), request_with(deflate_case.offers), {{}, first});
  ASSERT_TRUE(client.deflate());
  const Content& content = contents()[deflate_case.content];
  Slices slices(content);
  for (std::size_t i = 0; i < messages_of(deflate_case); ++i) {
    const Bytes message = slices.next(deflate_case.size);
    client.send_message(content.opcode, message, deflate_case.fragment);
    const testing::Received received = client.receive();
    ASSERT_EQ(received.kind, ws::Event::Kind::kMessage) << i;
    ASSERT_EQ(received.opcode, content.opcode) << i;
    ASSERT_TRUE(received.payload == message) << i;
  }
  expect_clean_close(client);
}

const std::string kAll = "--compression-min-bytes";

class AutobahnDeflate : public ::testing::TestWithParam<DeflateCase> {};

TEST_P(AutobahnDeflate, WithSharedCompressors) {
  expect_echoes(Server::with({"--compression", "shared", kAll, "0"}), GetParam());
}

TEST_P(AutobahnDeflate, WithDedicatedCompressors) {
  expect_echoes(
      Server::with({"--compression", "dedicated", "--compression-window-bits", "15", kAll, "0"}),
      GetParam());
}

// Our client offers what browsers do, and what Autobahn's server is going to ask it for.
DeflateTerms agreed_with(const Parameters& asked) {
  const DeflateTerms offer = {false, asked.no_context_takeover, 0, 15};
  std::string answer = "permessage-deflate";
  if (asked.no_context_takeover) answer += "; client_no_context_takeover";
  if (asked.max_window_bits != 0) {
    answer += "; client_max_window_bits=" + std::to_string(asked.max_window_bits);
  }
  ws::ListField field;
  field.add(answer);
  return ws::check_answer(field, offer).value();
}

std::vector<Seen> one_message(ws::Opcode opcode, const Bytes& message) {
  return {{ws::Event::Kind::kMessage, opcode, message, 1005}};
}

class AutobahnDeflateClient : public ::testing::TestWithParam<DeflateCase> {};

TEST_P(AutobahnDeflateClient, Echoes) {
  const DeflateTerms agreed = agreed_with(GetParam().offers[0]);
  const ws::CompressionOptions all = {.window_bits = 15, .min_bytes = 0};
  End server(Role::kServer, ws::server_side(agreed), ws::client_side(agreed), all);
  End client(Role::kClient, ws::client_side(agreed), ws::server_side(agreed), all);
  const Content& content = contents()[GetParam().content];
  Slices slices(content);
  for (std::size_t i = 0; i < messages_of(GetParam()); ++i) {
    const Bytes message = slices.next(GetParam().size);
    const auto expected = one_message(content.opcode, message);
    ASSERT_TRUE(client.hear(server.say(content.opcode, message, GetParam().fragment)) == expected);
    ASSERT_TRUE(server.hear(client.say(content.opcode, message)) == expected) << i;
  }
}

INSTANTIATE_TEST_SUITE_P(Sections12And13, AutobahnDeflate, ::testing::ValuesIn(deflate_cases()),
                         [](const auto& instance) { return instance.param.name; });
INSTANTIATE_TEST_SUITE_P(Sections12And13, AutobahnDeflateClient,
                         ::testing::ValuesIn(deflate_cases()),
                         [](const auto& instance) { return instance.param.name; });

}  // namespace
}  // namespace epulse::conformance
