// Section 7: the closing handshake, its codes and reasons.
#include <array>

#include "tests/conformance/autobahn.hpp"

namespace epulse::conformance {
namespace {

const Frame kHello = text("Hello World!");

Script answered(const Frame& close_frame, int code) {
  return Script().send({close_frame}).closes(code);
}

// A clean close, whatever follows the close frame.
Script ignores_after_close(const Frame& late) {
  return Script().send({close(1000), late}).closes(1000);
}

// All that was said before the close frame is answered first. Autobahn lets it be otherwise.
Script large_message_before_close() {
  std::string payload;
  while (payload.size() < std::size_t{256} * 1024) payload += "BAsd7&jh23";
  payload.resize(std::size_t{256} * 1024);
  return Script()
      .send({text(payload), kHello, close(1000), ping()})
      .expect(text(payload))
      .expect(kHello)
      .closes(1000);
}

template <std::size_t kCount>
void add_codes(std::vector<Case>& cases, const std::string& prefix,
               const std::array<int, kCount>& codes, bool allowed) {
  for (std::size_t i = 0; i < kCount; ++i) {
    const int code = codes[i];
    cases.push_back(
        {numbered(prefix, i), [=] { return answered(close(code), allowed ? code : 1002); }});
  }
}

constexpr std::array kAllowed = {1000, 1001, 1002, 1003, 1007, 1008, 1009,
                                 1010, 1011, 3000, 3999, 4000, 4999};
constexpr std::array kNotAllowed = {0, 999, 1004, 1005, 1006, 1016, 1100, 2000, 2999};
// Undefined for Autobahn; they are as little allowed as the others.
constexpr std::array kBeyond = {5000, 65535};

const std::string kNotUtf8 =
    "\xCE\xBA\xE1\xBD\xB9\xCF\x83\xCE\xBC\xCE\xB5\xED\xA0\x80"
    "edited";

}  // namespace

std::vector<Case> autobahn_closing() {
  std::vector<Case> cases = {
      {"7_1_1", [] { return echo(kHello); }},
      {"7_1_2", [] { return ignores_after_close(empty_close()); }},
      {"7_1_3", [] { return ignores_after_close(ping()); }},
      {"7_1_4", [] { return ignores_after_close(kHello); }},
      {"7_1_5",
       [] {
         return Script()
             .send({more(text("fragment1")), close(1000), continuation("fragment2")})
             .closes(1000);
       }},
      {"7_1_6", large_message_before_close},
      {"7_3_1", [] { return answered(empty_close(), 1005); }},
      {"7_3_2", [] { return answered({.opcode = 8, .payload = "a"}, 1002); }},
      {"7_3_3", [] { return answered(close(1000), 1000); }},
      {"7_3_4", [] { return answered(close(1000, kHello.payload), 1000); }},
      {"7_3_5", [] { return answered(close(1000, std::string(123, '*')), 1000); }},
      {"7_3_6", [] { return answered(close(1000, std::string(124, '*')), 1002); }},
      {"7_5_1", [] { return answered(close(1000, kNotUtf8), 1007); }},
  };
  add_codes(cases, "7_7_", kAllowed, true);
  add_codes(cases, "7_9_", kNotAllowed, false);
  add_codes(cases, "7_13_", kBeyond, false);
  return cases;
}

}  // namespace epulse::conformance
