#include "tests/conformance/utf8_sequences.hpp"

#include <string_view>

namespace epulse::conformance {
namespace {

using namespace std::string_literals;
using Bytes = std::vector<std::string>;

constexpr std::string_view kGreek = "\xCE\xBA\xE1\xBD\xB9\xCF\x83\xCE\xBC\xCE\xB5";

char byte(unsigned value) {
  return static_cast<char>(value);
}

Bytes prefixes(std::string_view text) {
  Bytes all;
  for (std::size_t size = 1; size <= text.size(); ++size) all.emplace_back(text.substr(0, size));
  return all;
}

// Continuation bytes that nothing began.
Bytes continuations() {
  Bytes all = {"\x80", "\xBF"};
  for (std::size_t size = 2; size <= 6; ++size) {
    std::string text;
    for (std::size_t i = 0; i < size; ++i) text += i % 2 == 0 ? '\x80' : '\xBF';
    all.push_back(text);
  }
  std::string every;
  for (unsigned value = 0x80; value < 0xBF; ++value) every += byte(value);
  all.push_back(every);
  return all;
}

// First bytes of 2 to 6, each with a blank behind it.
Bytes lonely_starts() {
  constexpr unsigned kRanges[][2] = {
      {0xC0, 0xDF}, {0xE0, 0xEF}, {0xF0, 0xF7}, {0xF8, 0xFB}, {0xFC, 0xFD}};
  Bytes all;
  for (const auto& [first, last] : kRanges) {
    std::string text;
    for (unsigned value = first; value < last; ++value) text += {byte(value), ' '};
    all.push_back(text);
  }
  return all;
}

Bytes last_byte_missing() {
  return {"\xC0", "\xE0\x80", "\xF0\x80\x80", "\xF8\x80\x80\x80", "\xFC\x80\x80\x80\x80",
          "\xDF", "\xEF\xBF", "\xF7\xBF\xBF", "\xFB\xBF\xBF\xBF", "\xFD\xBF\xBF\xBF\xBF"};
}

std::string joined(const Bytes& parts) {
  std::string all;
  for (const std::string& part : parts) all += part;
  return all;
}

// U+D800, U+DB7F, U+DB80, U+DBFF; U+DC00, U+DFFF.
Bytes surrogate_pairs() {
  Bytes all;
  for (const char* high : {"\xED\xA0\x80", "\xED\xAD\xBF", "\xED\xAE\x80", "\xED\xAF\xBF"}) {
    for (const char* low : {"\xED\xB0\x80", "\xED\xBF\xBF"}) all.push_back(std::string(high) + low);
  }
  return all;
}

// U+nFFFE and U+nFFFF of every plane: no characters, but valid UTF-8.
Bytes non_characters() {
  Bytes all;
  for (unsigned plane = 0; plane <= 16; ++plane) {
    const unsigned top = plane << 4U | 0xFU;  // bits 12 to 20
    std::string start =
        plane == 0 ? "\xEF" : std::string{byte(0xF0 | top >> 6U), byte(0x80 | (top & 0x3FU))};
    for (const char last : {'\xBE', '\xBF'}) all.push_back(start + '\xBF' + last);
  }
  return all;
}

void add(std::vector<Utf8Sequence>& all, int group, bool valid, const Bytes& group_bytes) {
  for (std::size_t i = 0; i < group_bytes.size(); ++i) {
    all.push_back(
        {"6_" + std::to_string(group) + "_" + std::to_string(i + 1), group_bytes[i], valid});
  }
}

}  // namespace

std::vector<Utf8Sequence> utf8_sequences() {
  std::vector<Utf8Sequence> all;
  add(all, 5, true,
      {"hello$world", "hello\xC2\xA2world", "hello\xE2\x82\xACworld", "hello\xF0\xA4\xAD\xA2world",
       std::string(kGreek)});
  add(all, 6, false, prefixes(kGreek));
  for (Utf8Sequence& prefix : all) {
    const std::size_t size = prefix.bytes.size();  // characters of 2, 3, 2, 2 and 2 bytes
    if (prefix.name.starts_with("6_6_")) prefix.valid = size == 2 || (size >= 5 && size % 2 == 1);
  }
  add(all, 7, true, {"\0"s, "\xC2\x80", "\xE0\xA0\x80", "\xF0\x90\x80\x80"});
  add(all, 8, false, {"\xF8\x88\x80\x80\x80", "\xFC\x84\x80\x80\x80\x80"});
  add(all, 9, true, {"\x7F", "\xDF\xBF", "\xEF\xBF\xBF", "\xF4\x8F\xBF\xBF"});
  add(all, 10, false, {"\xF7\xBF\xBF\xBF", "\xFB\xBF\xBF\xBF\xBF", "\xFD\xBF\xBF\xBF\xBF\xBF"});
  add(all, 11, true, {"\xED\x9F\xBF", "\xEE\x80\x80", "\xEF\xBF\xBD", "\xF4\x8F\xBF\xBF"});
  all.push_back({"6_11_5", "\xF4\x90\x80\x80", false});
  add(all, 12, false, continuations());
  add(all, 13, false, lonely_starts());
  add(all, 14, false, last_byte_missing());
  add(all, 15, false, {joined(last_byte_missing())});
  add(all, 16, false, {"\xFE", "\xFF", "\xFE\xFE\xFF\xFF"});
  add(all, 17, false,
      {"\xC0\xAF", "\xE0\x80\xAF", "\xF0\x80\x80\xAF", "\xF8\x80\x80\x80\xAF",
       "\xFC\x80\x80\x80\x80\xAF"});
  add(all, 18, false,
      {"\xC1\xBF", "\xE0\x9F\xBF", "\xF0\x8F\xBF\xBF", "\xF8\x87\xBF\xBF\xBF",
       "\xFC\x83\xBF\xBF\xBF\xBF"});
  add(all, 19, false,
      {"\xC0\x80", "\xE0\x80\x80", "\xF0\x80\x80\x80", "\xF8\x80\x80\x80\x80",
       "\xFC\x80\x80\x80\x80\x80"});
  add(all, 20, false,
      {"\xED\xA0\x80", "\xED\xAD\xBF", "\xED\xAE\x80", "\xED\xAF\xBF", "\xED\xB0\x80",
       "\xED\xBE\x80", "\xED\xBF\xBF"});
  add(all, 21, false, surrogate_pairs());
  add(all, 22, true, non_characters());
  add(all, 23, true,
      {"\xEF\xBF\xB9", "\xEF\xBF\xBA", "\xEF\xBF\xBB", "\xEF\xBF\xBC", "\xEF\xBF\xBD",
       "\xEF\xBF\xBE", "\xEF\xBF\xBF"});
  return all;
}

}  // namespace epulse::conformance
