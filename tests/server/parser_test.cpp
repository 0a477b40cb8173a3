#include "server/ws/parser.hpp"

#include <gtest/gtest.h>

#include <array>
#include <string>
#include <vector>

#include "tests/server/test_client.hpp"

namespace epulse::ws {
namespace {

using Kind = Event::Kind;
using testing::Bytes;
using testing::bytes_of;
using testing::client_frame;

constexpr std::uint64_t kMaxMessage = 100'000;

// What an event says, on its own feet.
struct Seen {
  Kind kind;
  Opcode opcode;
  Bytes payload;
  std::uint16_t code;
  std::string reason;

  friend bool operator==(const Seen&, const Seen&) = default;
};

std::vector<Seen> feed(Parser& parser, std::span<std::uint8_t> input) {
  std::vector<Seen> seen;
  while (true) {
    const Event event = parser.next(input);
    if (event.kind == Kind::kNeedMore) return seen;
    seen.push_back({event.kind,
                    event.opcode,
                    {event.payload.begin(), event.payload.end()},
                    static_cast<std::uint16_t>(event.code),
                    std::string(event.reason)});
    if (event.kind == Kind::kClose || event.kind == Kind::kViolation) return seen;
  }
}

std::vector<Seen> parse(Role role, Bytes stream) {
  Parser parser(role, kMaxMessage);
  return feed(parser, stream);
}

// In pieces of `size` bytes, each in memory of its own.
std::vector<Seen> parse_in_pieces(Role role, const Bytes& stream, std::size_t size) {
  Parser parser(role, kMaxMessage);
  std::vector<Seen> all;
  for (std::size_t i = 0; i < stream.size(); i += size) {
    Bytes piece(stream.begin() + static_cast<std::ptrdiff_t>(i),
                stream.begin() + static_cast<std::ptrdiff_t>(std::min(i + size, stream.size())));
    for (Seen& seen : feed(parser, piece)) all.push_back(std::move(seen));
    if (!all.empty() && (all.back().kind == Kind::kClose || all.back().kind == Kind::kViolation)) {
      break;
    }
  }
  return all;
}

Bytes server_frame(Opcode opcode, std::span<const std::uint8_t> payload, bool fin = true) {
  const HeaderBytes header = encode_header({opcode, payload.size(), fin, {}});
  Bytes frame(header.view().begin(), header.view().end());
  frame.insert(frame.end(), payload.begin(), payload.end());
  return frame;
}

Bytes frame_for(Role role, Opcode opcode, std::span<const std::uint8_t> payload, bool fin = true) {
  return role == Role::kServer ? client_frame(opcode, payload, fin)
                               : server_frame(opcode, payload, fin);
}

Bytes operator+(Bytes a, const Bytes& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

Seen message(Opcode opcode, const Bytes& payload) {
  return {Kind::kMessage, opcode, payload, 1005, ""};
}

class BothRoles : public ::testing::TestWithParam<Role> {};
INSTANTIATE_TEST_SUITE_P(Parser, BothRoles, ::testing::Values(Role::kServer, Role::kClient),
                         [](const auto& param) {
                           return param.param == Role::kServer ? "server" : "client";
                         });

TEST_P(BothRoles, EachLengthForm) {
  const std::vector<std::pair<std::size_t, std::size_t>> sizes_and_headers = {
      {0, 2}, {1, 2}, {125, 2}, {126, 4}, {127, 4}, {65535, 4}, {65536, 10}, {100'000, 10}};
  for (const auto& [size, header] : sizes_and_headers) {
    const Bytes payload(size, 'x');
    const Bytes frame = frame_for(GetParam(), Opcode::kText, payload);
    EXPECT_EQ(frame.size(), size + header + (GetParam() == Role::kServer ? 4 : 0));
    EXPECT_EQ(parse(GetParam(), frame), std::vector{message(Opcode::kText, payload)}) << size;
  }
}

TEST_P(BothRoles, PiecesOfAnySizeEqualTheWhole) {
  const Role role = GetParam();
  const Bytes text = bytes_of("\xE2\x82\xAC uro, \xF0\x9F\x98\x80, and a tail of ASCII");
  const Bytes stream =
      frame_for(role, Opcode::kText, text) + frame_for(role, Opcode::kBinary, Bytes(300, 7)) +
      frame_for(role, Opcode::kText, std::span(text).first(2), false) +
      frame_for(role, Opcode::kPing, bytes_of("in between")) +
      frame_for(role, Opcode::kContinuation, std::span(text).subspan(2, 9), false) +
      frame_for(role, Opcode::kPong, {}) +
      frame_for(role, Opcode::kContinuation, std::span(text).subspan(11)) +
      frame_for(role, Opcode::kBinary, {}) +
      frame_for(role, Opcode::kClose,
                bytes_of("\x03\xE8"
                         "bye"));
  const std::vector<Seen> whole = parse(role, stream);
  ASSERT_EQ(whole.size(), 7U);
  EXPECT_EQ(whole[0], message(Opcode::kText, text));
  EXPECT_EQ(whole[1], message(Opcode::kBinary, Bytes(300, 7)));
  EXPECT_EQ(whole[2].kind, Kind::kPing);
  EXPECT_EQ(whole[2].payload, bytes_of("in between"));
  EXPECT_EQ(whole[3].kind, Kind::kPong);
  EXPECT_EQ(whole[4], message(Opcode::kText, text));
  EXPECT_EQ(whole[5], message(Opcode::kBinary, {}));
  EXPECT_EQ(whole[6].kind, Kind::kClose);
  EXPECT_EQ(whole[6].code, 1000);
  EXPECT_EQ(whole[6].reason, "bye");
  for (std::size_t size = 1; size < 64; ++size) {
    EXPECT_EQ(parse_in_pieces(role, stream, size), whole) << size;
  }
}

TEST_P(BothRoles, WholeMessagesStayWhereTheyAre) {
  Bytes frame = frame_for(GetParam(), Opcode::kBinary, Bytes(1000, 1));
  Parser parser(GetParam(), kMaxMessage);
  std::span<std::uint8_t> input = frame;
  const Event event = parser.next(input);
  EXPECT_EQ(event.payload.data(), frame.data() + frame.size() - 1000);
  EXPECT_EQ(parser.gathered_bytes(), 0U);
}

TEST_P(BothRoles, MemoryIsHeldOnlyWhileAMessageIsIncomplete) {
  Parser parser(GetParam(), kMaxMessage);
  Bytes frame = frame_for(GetParam(), Opcode::kBinary, Bytes(5000, 1));
  EXPECT_TRUE(feed(parser, std::span(frame).first(3000)).empty());
  EXPECT_GE(parser.gathered_bytes(), 2000U);
  EXPECT_EQ(feed(parser, std::span(frame).subspan(3000)).size(), 1U);
  EXPECT_EQ(parser.gathered_bytes(), 0U);
}

// Every breach with the code that answers it.
struct Breach {
  const char* name;
  Bytes stream;
  std::uint16_t code;
};

std::vector<Breach> common_breaches(Role role) {
  const auto frame = [role](Opcode opcode, const Bytes& payload, bool fin = true) {
    return frame_for(role, opcode, payload, fin);
  };
  const auto with_first_byte = [&frame](std::uint8_t first) {
    Bytes bytes = frame(Opcode::kText, bytes_of("x"));
    bytes[0] = first;
    return bytes;
  };
  const std::uint8_t mask_bit = role == Role::kServer ? 0x80 : 0;
  const auto long_header = [mask_bit](std::uint8_t length, const Bytes& rest) {
    return Bytes{0x82, static_cast<std::uint8_t>(mask_bit | length)} + rest + Bytes(4, 0);
  };
  std::vector<Breach> breaches = {
      {"rsv1", with_first_byte(0xC1), 1002},
      {"rsv2", with_first_byte(0xA1), 1002},
      {"rsv3", with_first_byte(0x91), 1002},
      {"ping longer than 125", frame(Opcode::kPing, Bytes(126, 0)), 1002},
      {"fragmented ping", frame(Opcode::kPing, {}, false), 1002},
      {"fragmented close", frame(Opcode::kClose, {}, false), 1002},
      {"continuation of nothing", frame(Opcode::kContinuation, bytes_of("x")), 1002},
      {"continuation after the end",
       frame(Opcode::kText, {}, false) + frame(Opcode::kContinuation, {}) +
           frame(Opcode::kContinuation, {}),
       1002},
      {"text inside a message", frame(Opcode::kText, {}, false) + frame(Opcode::kText, {}), 1002},
      {"16 bits for 125", long_header(126, {0, 125}), 1002},
      {"64 bits for 65535", long_header(127, {0, 0, 0, 0, 0, 0, 0xFF, 0xFF}), 1002},
      {"length above 2^63", long_header(127, {0x80, 0, 0, 0, 0, 1, 0, 0}), 1002},
      {"too big", frame(Opcode::kBinary, Bytes(kMaxMessage + 1, 0)), 1009},
      {"too big, said by the header alone", long_header(127, {0x7F, 0xFF, 0, 0, 0, 0, 0, 0}), 1009},
      {"too big in fragments",
       frame(Opcode::kBinary, Bytes(kMaxMessage, 0), false) + frame(Opcode::kContinuation, {1}),
       1009},
      {"bad UTF-8", frame(Opcode::kText, {0xFF}), 1007},
      {"UTF-8 cut at the end", frame(Opcode::kText, {0xE2, 0x82}), 1007},
      {"UTF-8 cut at the end, in fragments",
       frame(Opcode::kText, {0xE2}, false) + frame(Opcode::kContinuation, {0x82}), 1007},
      {"bad UTF-8 in a fragment, before the end",
       frame(Opcode::kText, bytes_of("ok"), false) + frame(Opcode::kContinuation, {0xC0}, false),
       1007},
      {"close code of one byte", frame(Opcode::kClose, {3}), 1002},
      {"close reason is not UTF-8", frame(Opcode::kClose, {3, 0xE8, 0xFF}), 1007},
  };
  for (const unsigned opcode : {3U, 4U, 5U, 6U, 7U, 11U, 12U, 13U, 14U, 15U}) {
    breaches.push_back(
        {"reserved opcode", with_first_byte(static_cast<std::uint8_t>(0x80 | opcode)), 1002});
  }
  for (const int code : {0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65535}) {
    const Bytes payload = {static_cast<std::uint8_t>(code >> 8), static_cast<std::uint8_t>(code)};
    breaches.push_back({"close code not allowed", frame(Opcode::kClose, payload), 1002});
  }
  return breaches;
}

void expect_breach(Role role, const Breach& breach) {
  const std::vector<Seen> whole = parse(role, breach.stream);
  ASSERT_FALSE(whole.empty()) << breach.name;
  EXPECT_EQ(whole.back().kind, Kind::kViolation) << breach.name;
  EXPECT_EQ(whole.back().code, breach.code) << breach.name;
  EXPECT_FALSE(whole.back().reason.empty()) << breach.name;
  EXPECT_EQ(parse_in_pieces(role, breach.stream, 1), whole) << breach.name;
}

TEST_P(BothRoles, EveryBreachHasItsCode) {
  for (const Breach& breach : common_breaches(GetParam())) expect_breach(GetParam(), breach);
}

// A short text that is wrong is read twice; masked, it would be a right one.
TEST(Parser, BadUtf8IsFoundWhateverTheMask) {
  for (std::size_t size = 1; size <= 125; ++size) {
    const std::array<std::uint8_t, 4> key = {0xAA, 0xBB, 0xCC, 0xDD};
    Bytes frame = {0x81, static_cast<std::uint8_t>(0x80U | size)};
    frame.insert(frame.end(), key.begin(), key.end());
    for (std::size_t i = 0; i < size; ++i) frame.push_back(0xFF ^ key[i % 4]);
    expect_breach(Role::kServer, {"bad UTF-8", frame, 1007});
  }
}

TEST(Parser, ServerDemandsMasks) {
  expect_breach(Role::kServer, {"no mask", server_frame(Opcode::kText, bytes_of("x")), 1002});
}

TEST(Parser, ClientForbidsMasks) {
  expect_breach(Role::kClient, {"mask", client_frame(Opcode::kText, bytes_of("x")), 1002});
}

TEST(Parser, BreachesAreFoundBeforeTheRestArrives) {
  // Bad UTF-8 in the first bytes of a long frame, of which nothing more is here.
  Bytes frame = client_frame(Opcode::kText, Bytes(50'000, 0xFF));
  Parser parser(Role::kServer, kMaxMessage);
  const std::vector<Seen> seen = feed(parser, std::span(frame).first(20));
  ASSERT_EQ(seen.size(), 1U);
  EXPECT_EQ(seen[0].code, 1007);
  // A reserved bit, of which the two first bytes tell.
  Parser second(Role::kServer, kMaxMessage);
  Bytes start = {0xC1, 0xFE};
  EXPECT_EQ(feed(second, start).size(), 1U);
}

TEST(Parser, NothingIsReadAfterTheEnd) {
  Parser parser(Role::kServer, kMaxMessage);
  Bytes stream = client_frame(Opcode::kClose, {}) + client_frame(Opcode::kText, bytes_of("late"));
  std::span<std::uint8_t> input = stream;
  EXPECT_EQ(parser.next(input).kind, Kind::kClose);
  EXPECT_EQ(parser.next(input).kind, Kind::kClose);
}

TEST(Parser, CloseCodesThatMayBeSent) {
  for (const int code : {1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 4999}) {
    const Bytes payload = {static_cast<std::uint8_t>(code >> 8), static_cast<std::uint8_t>(code)};
    const std::vector<Seen> seen = parse(Role::kServer, client_frame(Opcode::kClose, payload));
    ASSERT_EQ(seen.size(), 1U);
    EXPECT_EQ(seen[0].kind, Kind::kClose);
    EXPECT_EQ(seen[0].code, code);
  }
}

TEST(Frame, VectorsOfTheRfc) {  // RFC 6455, 5.7
  EXPECT_EQ(server_frame(Opcode::kText, bytes_of("Hello")),
            (Bytes{0x81, 0x05, 0x48, 0x65, 0x6c, 0x6c, 0x6f}));
  EXPECT_EQ(client_frame(Opcode::kText, bytes_of("Hello")),
            (Bytes{0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58}));
  const ControlFrame pong =
      encode_control(Opcode::kPong, bytes_of("Hello"), MaskKey{0x37, 0xfa, 0x21, 0x3d});
  EXPECT_EQ(Bytes(pong.view().begin(), pong.view().end()),
            (Bytes{0x8a, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58}));
}

TEST(Frame, CloseFrames) {
  const ControlFrame full = encode_close(CloseCode::kGoingAway, "bye");
  EXPECT_EQ(Bytes(full.view().begin(), full.view().end()),
            (Bytes{0x88, 5, 0x03, 0xE9, 'b', 'y', 'e'}));
  EXPECT_EQ(encode_close(CloseCode::kNoStatus, "").size, 2U);
  EXPECT_EQ(encode_close(CloseCode::kNormal, std::string(500, 'x')).size, 127U);
  // A reason is text (5.5.1): no character is cut in two.
  std::string euros;
  while (euros.size() < 200) euros += "\xE2\x82\xAC";
  EXPECT_EQ(encode_close(CloseCode::kNormal, euros).size, 127U);
  EXPECT_EQ(encode_close(CloseCode::kNormal, 'x' + euros).size, 125U);
  EXPECT_EQ(encode_close(CloseCode::kNormal, "xx" + euros).size, 126U);
}

}  // namespace
}  // namespace epulse::ws
