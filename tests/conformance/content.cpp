#include "tests/conformance/content.hpp"

#include <random>

#include "tests/server/deflate_end.hpp"

namespace epulse::conformance {
namespace {

using testing::Bytes;

constexpr std::size_t kBytes = 300'007;  // no multiple of any message's size
constexpr std::size_t kSeed = 7692;

// Grey values that change little from point to point.
Bytes picture() {
  std::mt19937 random(kSeed);
  Bytes bytes(kBytes);
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    const std::size_t x = i % 512;
    const std::size_t y = i / 512;
    bytes[i] = static_cast<std::uint8_t>((x + y) / 4 + random() % 4);
  }
  return bytes;
}

template <std::size_t kCount>
Bytes words(const std::array<const char*, kCount>& vocabulary) {
  std::mt19937 random(kSeed);
  std::string text;
  while (text.size() < kBytes) text += vocabulary[random() % kCount];
  return testing::bytes_of(text.substr(0, kBytes));
}

Bytes german() {
  return words(std::array{"der ", "Geist ", "f\u00FCr ", "\u00FCber ", "ach, ", "Stra\u00DFe ",
                          "und ", "wohl ", "Herz.\n", "nicht ", "so ", "sch\u00F6n "});
}

Bytes html() {
  return words(std::array{"<div class=\"row\">", "</div>\n", "<p>", "</p>", "<a href=\"#x\">",
                          "</a>", "price", " &amp; ", "volume", " 42 ", "<td>", "</td>",
                          "<br/>\n"});
}

}  // namespace

const std::array<Content, 5>& contents() {
  using enum ws::Opcode;
  static const std::array<Content, 5> all = {
      {{"JSON", kText, testing::json_text(kBytes, kSeed)},
       {"picture", kBinary, picture()},
       {"German", kBinary, german()},
       {"HTML", kText, html()},
       {"PDF", kBinary, testing::random_bytes(kBytes, kSeed)}}};
  return all;
}

Bytes Slices::next(std::size_t size) {
  Bytes out;
  out.reserve(size);
  while (out.size() < size) {
    out.push_back(content_.bytes[at_]);
    at_ = (at_ + 1) % content_.bytes.size();
  }
  return out;
}

}  // namespace epulse::conformance
