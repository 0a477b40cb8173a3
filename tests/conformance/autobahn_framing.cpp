// Sections 1 to 4: messages, pings and pongs, reserved bits and opcodes.
#include <array>

#include "tests/conformance/autobahn.hpp"

namespace epulse::conformance {
namespace {

const std::string kHello = "Hello, world!";
const std::string kNoText("\x00\xFF\xFE\xFD\xFC\xFB\x00\xFF", 8);
const std::string kFe = "\xFE";

std::string repeated(const std::string& text, std::size_t count) {
  std::string out;
  for (std::size_t i = 0; i < count; ++i) out += text;
  return out;
}

void add_lengths(std::vector<Case>& cases, const std::string& prefix,
                 const std::function<Frame(std::size_t)>& message) {
  constexpr std::array<std::size_t, 7> kLengths = {0, 125, 126, 127, 128, 65535, 65536};
  for (std::size_t i = 0; i < kLengths.size(); ++i) {
    cases.push_back({numbered(prefix, i), [=] { return echo(message(kLengths[i])); }});
  }
  cases.push_back(
      {numbered(prefix, kLengths.size()), [=] { return echo(message(65536), in_octets(997)); }});
}

Script ten_pings(Pieces pieces) {
  Script script;
  std::vector<Frame> pings;
  pings.reserve(10);
  for (int i = 0; i < 10; ++i) pings.push_back(ping("payload-" + std::to_string(i)));
  script.send(pings, pieces);
  for (const Frame& sent : pings) script.expect(pong(sent.payload));
  return script.ends();
}

Script answered_ping(const std::string& payload, Pieces pieces = kAtOnce) {
  return Script().send({ping(payload)}, pieces).expect(pong(payload)).ends();
}

// The first message is echoed; the second thing ends the connection; the ping is not answered.
Script echo_then(const Frame& breach, Pieces pieces = kAtOnce) {
  return Script().send({text(kHello), breach, ping()}, pieces).expect(text(kHello)).closes(1002);
}

Script only(const Frame& breach) {
  return Script().send({breach}).closes(1002);
}

Frame of(unsigned opcode, const std::string& payload = {}) {
  return {.opcode = opcode, .payload = payload};
}

}  // namespace

std::vector<Case> autobahn_framing() {
  std::vector<Case> cases;
  add_lengths(cases, "1_1_", [](std::size_t size) { return text(std::string(size, '*')); });
  add_lengths(cases, "1_2_", [](std::size_t size) { return binary(repeated(kFe, size)); });
  return cases;
}

std::vector<Case> autobahn_pings() {
  const std::string unsolicited = "unsolicited pong payload";
  return {
      {"2_1", [] { return answered_ping({}); }},
      {"2_2", [] { return answered_ping(kHello); }},
      {"2_3", [] { return answered_ping(kNoText); }},
      {"2_4", [] { return answered_ping(repeated(kFe, 125)); }},
      {"2_5", [] { return only(ping(repeated(kFe, 126))); }},
      {"2_6", [] { return answered_ping(repeated(kFe, 125), in_octets(1)); }},
      {"2_7",
       [] {
         return Script().send({pong(), close(1000)}).closes(1000);
       }},
      {"2_8",
       [=] {
         return Script().send({pong(unsolicited), close(1000)}).closes(1000);
       }},
      {"2_9",
       [=] {
         return Script()
             .send({pong(unsolicited), ping("ping payload")})
             .expect(pong("ping payload"))
             .ends();
       }},
      {"2_10", [] { return ten_pings(kAtOnce); }},
      {"2_11", [] { return ten_pings(in_octets(1)); }},
  };
}

std::vector<Case> autobahn_reserved() {
  const std::string some = "reserved opcode payload";
  return {
      {"3_1", [] { return only(reserved(text(kHello), 1)); }},
      {"3_2", [] { return echo_then(reserved(text(kHello), 2)); }},
      {"3_3", [] { return echo_then(reserved(text(kHello), 3), kFrameByFrame); }},
      {"3_4", [] { return echo_then(reserved(text(kHello), 4), in_octets(1)); }},
      {"3_5", [] { return only(reserved(binary(kNoText), 5)); }},
      {"3_6", [] { return only(reserved(ping(kHello), 6)); }},
      {"3_7", [] { return only(reserved(empty_close(), 7)); }},
      {"4_1_1", [] { return only(of(3)); }},
      {"4_1_2", [=] { return only(of(4, some)); }},
      {"4_1_3", [] { return echo_then(of(5)); }},
      {"4_1_4", [] { return echo_then(of(6, kHello)); }},
      {"4_1_5", [] { return echo_then(of(7, kHello), in_octets(1)); }},
      {"4_2_1", [] { return only(of(11)); }},
      {"4_2_2", [=] { return only(of(12, some)); }},
      {"4_2_3", [] { return echo_then(of(13)); }},
      {"4_2_4", [] { return echo_then(of(14, kHello)); }},
      {"4_2_5", [] { return echo_then(of(15, kHello), in_octets(1)); }},
  };
}

}  // namespace epulse::conformance
