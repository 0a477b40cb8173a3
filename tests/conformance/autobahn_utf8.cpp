// Section 6: UTF-8, right and wrong, whole and in pieces. From 6.5 on it is the decoder stress test
// of Markus Kuhn.
#include <array>

#include "tests/conformance/autobahn.hpp"
#include "tests/conformance/utf8_sequences.hpp"

namespace epulse::conformance {
namespace {

const std::string kMixed = "Hello-\u00B5@\u00DF\u00F6\u00E4\u00FC\u00E0\u00E1-UTF-8!!";
const std::string kGreek = "\u03BA\u1F79\u03C3\u03BC\u03B5";
constexpr std::string_view kEnd = "edited";
// U+D800, and U+110000: wrong from the second byte on.
const std::string kSurrogate = kGreek + "\xED\xA0\x80" + std::string(kEnd);
const std::string kAboveAll = kGreek + "\xF4\x90\x80\x80" + std::string(kEnd);
const std::size_t kValid = kGreek.size();
const std::size_t kWrong = kValid + 1;  // where the first byte is that nothing can mend

Script echoed(const std::vector<Frame>& frames, const std::string& payload) {
  return Script().send(frames).expect(text(payload)).ends();
}

Script refused(const std::vector<Frame>& frames) {
  return Script().send(frames).closes(1007);
}

// The connection is failed at the part that makes it wrong, and does not wait for the next one.
Script refused_at_the_second(const Frame& first, const Frame& second) {
  return Script().send({first}).quiet().send({second}).closes(1007);
}

Script second_fragment_is_wrong(std::size_t from, std::size_t until) {
  return refused_at_the_second(more(text(kAboveAll.substr(0, from))),
                               more(continuation(kAboveAll.substr(from, until - from))));
}

Script second_piece_is_wrong(std::size_t from, std::size_t until) {
  return refused_at_the_second(piece(text(kAboveAll), 0, from),
                               piece(text(kAboveAll), from, until));
}

Script whole(const Utf8Sequence& sequence) {
  const std::vector<Frame> frames = {text(sequence.bytes)};
  return sequence.valid ? echoed(frames, sequence.bytes) : refused(frames);
}

}  // namespace

std::vector<Case> autobahn_utf8() {
  std::vector<Case> cases = {
      {"6_1_1", [] { return echoed({text("")}, ""); }},
      {"6_1_2",
       [] {
         return echoed({more(text("")), more(continuation("")), continuation("")}, "");
       }},
      {"6_1_3",
       [] {
         const std::string middle = "middle frame payload";
         return echoed({more(text("")), more(continuation(middle)), continuation("")}, middle);
       }},
      {"6_2_1", [] { return echoed({text(kMixed)}, kMixed); }},
      {"6_2_2", [] { return echoed(fragments(text(kMixed), 15), kMixed); }},
      {"6_2_3", [] { return echoed(fragments(text(kMixed), 1), kMixed); }},
      {"6_2_4", [] { return echoed(fragments(text(kGreek), 1), kGreek); }},
      {"6_3_1", [] { return refused({text(kSurrogate)}); }},
      {"6_3_2", [] { return refused(fragments(text(kSurrogate), 1)); }},
      {"6_4_1", [] { return second_fragment_is_wrong(kValid, kValid + 4); }},
      {"6_4_2", [] { return second_fragment_is_wrong(kWrong, kWrong + 1); }},
      {"6_4_3", [] { return second_piece_is_wrong(kValid, kValid + 4); }},
      {"6_4_4", [] { return second_piece_is_wrong(kWrong, kWrong + 1); }},
  };
  for (const Utf8Sequence& sequence : utf8_sequences()) {
    cases.push_back({sequence.name, [sequence] { return whole(sequence); }});
  }
  return cases;
}

}  // namespace epulse::conformance
