// RFC 7692 from the offer to the last byte: every way to agree that Autobahn's cases 12 and 13 try,
// with every policy of the server, messages of 16 bytes to 128 KiB, whole and in fragments, in both
// directions.
#include <gtest/gtest.h>

#include <string>
#include <tuple>
#include <vector>

#include "server/ws/client_handshake.hpp"
#include "server/ws/handshake.hpp"
#include "tests/server/deflate_end.hpp"

namespace epulse::ws {
namespace {

using testing::Bytes;
using testing::End;
using testing::json_text;
using testing::Seen;

constexpr std::string_view kKey = "dGhlIHNhbXBsZSBub25jZQ==";
constexpr std::uint64_t kMaxMessage = std::uint64_t{1} << 20U;

// What a client offers: as the element it sends, and what it checks the answer against.
struct Offer {
  std::string name;
  std::string text;
  DeflateTerms terms;
};

// Autobahn's clients accept limits of their own in every case: 13.1 to 13.7 differ in what they ask
// of the server. 12 is 13.1. The last is what browsers send.
std::vector<Offer> offers() {
  const std::string base = "permessage-deflate; client_no_context_takeover; client_max_window_bits";
  return {
      {"a13_1", base, {false, true, 0, 15}},
      {"a13_2", base + "; server_no_context_takeover", {true, true, 0, 15}},
      {"a13_3", base + "; server_max_window_bits=9", {false, true, 9, 15}},
      {"a13_4", base + "; server_max_window_bits=15", {false, true, 15, 15}},
      {"a13_5",
       base + "; server_no_context_takeover; server_max_window_bits=9",
       {true, true, 9, 15}},
      {"a13_6",
       base + "; server_no_context_takeover; server_max_window_bits=15",
       {true, true, 15, 15}},
      {"a13_7",
       base + "; server_no_context_takeover; server_max_window_bits=9, " + base +
           "; server_no_context_takeover, " + base,
       {true, true, 9, 15}},
      {"plain", "permessage-deflate", {}},
      {"client9", "permessage-deflate; client_max_window_bits=9", {false, false, 0, 9}},
      {"client8", "permessage-deflate; client_max_window_bits=8", {false, false, 0, 8}},
      {"browser", "permessage-deflate; client_max_window_bits", {false, false, 0, 15}},
  };
}

struct Mode {
  std::string name;
  CompressionOptions options;
};

std::vector<Mode> modes() {
  using enum CompressionOptions::Mode;
  return {{"shared", {.mode = kShared}},
          {"dedicated9", {.mode = kDedicated, .window_bits = 9, .mem_level = 1}},
          {"dedicated12", {.mode = kDedicated, .window_bits = 12, .min_bytes = 0}},
          {"dedicated15", {.mode = kDedicated, .level = 9, .window_bits = 15, .mem_level = 9}}};
}

// Both ends, after a handshake of text.
std::pair<End, End> shake_hands(const Offer& offer, const CompressionOptions& options) {
  std::string request = upgrade_request("h", "/", kKey);
  request.insert(request.size() - 2, "Sec-WebSocket-Extensions: " + offer.text + "\r\n");
  const RequestHead head = parse_request(request);
  EXPECT_EQ(head.status, 0);
  EXPECT_EQ(check_upgrade(head.request), 101);
  const auto answer = answer_offers(head.request.extensions, Compression(options).policy()).value();
  const UpgradeResponse response = upgrade_response(kKey, {{}, answer});
  const ResponseHead verdict = check_response(response.text(), kKey, {{}, offer.terms});
  EXPECT_EQ(verdict.verdict, ResponseHead::Verdict::kAccepted) << response.text();
  const DeflateTerms agreed = verdict.agreed.deflate.value();
  return {
      End(Role::kServer, server_side(answer), client_side(answer), options, kMaxMessage),
      End(Role::kClient, client_side(agreed), server_side(agreed), {.min_bytes = 0}, kMaxMessage)};
}

class Matrix : public ::testing::TestWithParam<std::tuple<Offer, Mode>> {};
INSTANTIATE_TEST_SUITE_P(Rfc7692, Matrix,
                         ::testing::Combine(::testing::ValuesIn(offers()),
                                            ::testing::ValuesIn(modes())),
                         [](const auto& instance) {
                           return std::get<0>(instance.param).name + "_" +
                                  std::get<1>(instance.param).name;
                         });

void expect_arrives(End& from, End& to, Opcode opcode, const Bytes& message, std::size_t fragment) {
  const Bytes wire = from.say(opcode, message, fragment);
  const std::vector<Seen> seen =
      message.size() % 3 == 0 ? to.hear_in_pieces(wire, 1000) : to.hear(wire);
  ASSERT_EQ(seen.size(), 1U) << message.size();
  EXPECT_EQ(seen[0].kind, Event::Kind::kMessage);
  EXPECT_EQ(seen[0].opcode, opcode);
  EXPECT_TRUE(seen[0].payload == message) << message.size();
}

TEST_P(Matrix, EchoesOfAnySize) {
  auto [server, client] = shake_hands(std::get<0>(GetParam()), std::get<1>(GetParam()).options);
  for (const std::size_t fragment : {0U, 256U}) {
    for (const std::size_t size : {16U, 64U, 256U, 1024U, 4096U, 8192U, 16384U, 32768U, 65536U,
                                   131072U, 0U, 1U, 125U, 126U}) {
      for (std::size_t i = 0; i < 3; ++i) {
        const Bytes text = json_text(size, i);
        expect_arrives(client, server, Opcode::kText, text, fragment);
        expect_arrives(server, client, Opcode::kText, text, fragment);
      }
      const Bytes noise = testing::random_bytes(size, size);
      expect_arrives(client, server, Opcode::kBinary, noise, fragment);
      expect_arrives(server, client, Opcode::kBinary, noise, fragment);
    }
  }
}

}  // namespace
}  // namespace epulse::ws
