// A stream of frames, as a server and as a client would hear it.
#include "server/ws/parser.hpp"
#include "tests/fuzz/pieces.hpp"
#include "tests/fuzz/target.hpp"

namespace epulse::fuzz {
namespace {

using namespace ws;
using Bytes = std::vector<uint8_t>;

constexpr uint32_t kMaxMessage = 5'000;
constexpr MaskKey kMask = {0x37, 0xfa, 0x21, 0x3d};

// All that one end makes of a stream that comes in pieces of `step` bytes.
std::string heard(Role role, std::string_view stream, size_t step) {
  Parser parser(role, kMaxMessage);
  std::string log;
  bool ended = false;
  hear(parser, stream, step, [&](const Event& event) {
    require(event.payload.size() <= kMaxMessage, "no message is longer than allowed");
    require(parser.gathered_bytes() <= size_t{4} * kMaxMessage, "no more is kept than a message");
    if (event.kind == Event::Kind::kNeedMore) return;
    log += static_cast<char>(event.kind);
    log += static_cast<char>(event.opcode);
    log += std::to_string(static_cast<int>(event.code)) + ' ';
    log += event.reason;
    log.append(event.payload.begin(), event.payload.end());
    ended = event.kind == Event::Kind::kClose || event.kind == Event::Kind::kViolation;
  });
  if (!ended) return log;
  std::span<uint8_t> nothing;
  const Event after = parser.next(nothing);
  require(after.kind == Event::Kind::kClose || after.kind == Event::Kind::kViolation,
          "an end is the end");
  return log;
}

void append(std::string& stream, Opcode opcode, std::string_view text, bool fin = true) {
  Bytes payload(text.begin(), text.end());
  apply_mask(payload, kMask);
  stream += encode_header({opcode, payload.size(), fin, kMask, false}).text();
  stream.append(payload.begin(), payload.end());
}

}  // namespace

std::vector<std::string> seeds() {
  std::string mixed;
  append(mixed, Opcode::kText, "short");
  append(mixed, Opcode::kText, "one \xE2\x82", false);
  append(mixed, Opcode::kPing, "there?");
  append(mixed, Opcode::kContinuation, "\xAC two");
  append(mixed, Opcode::kBinary, std::string(300, 'x'));
  append(mixed, Opcode::kPong, "");
  append(mixed, Opcode::kClose, "\x03\xE8 bye");
  std::string big;
  append(big, Opcode::kBinary, std::string(kMaxMessage, 'y'));
  append(big, Opcode::kBinary, std::string(kMaxMessage + 1, 'z'));
  std::string plain;
  for (const bool fin : {false, true}) {
    plain += encode_header({fin ? Opcode::kContinuation : Opcode::kText, 3, fin, {}, false}).text();
    plain += "abc";
  }
  std::string wide;  // longer than a vector, and not all of one size
  std::string text = "abcdefg";
  for (int i = 0; i < 9; ++i) text += "\xC3\xA9\xE6\xBC\xA2\xF0\x9F\x98\x80 ";
  append(wide, Opcode::kText, text);
  append(wide, Opcode::kText, text.substr(0, 33) + text);  // a character is cut in two
  return {mixed, big, plain, wide};
}

}  // namespace epulse::fuzz

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace epulse::fuzz;
  const std::string_view text = text_of(data, size);
  for (const Role role : {Role::kServer, Role::kClient}) {
    const std::string whole = heard(role, text, text.size());
    require(heard(role, text, 1) == whole, "bytes come to the same as the whole");
    require(heard(role, text, 7) == whole, "pieces do, too");
    // Characters that end just behind a vector of 32 bytes, or two.
    require(heard(role, text, 33) == whole, "pieces of a vector and a byte do");
    require(heard(role, text, 65) == whole, "pieces of two vectors and a byte do");
  }
  return 0;
}
