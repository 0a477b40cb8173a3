// Sections 9 and 10: large messages, in one frame, in fragments, in small writes; many messages.
#include <array>
#include <cstdlib>

#include "tests/conformance/autobahn.hpp"

namespace epulse::conformance {
namespace {

constexpr std::size_t kKiB = 1024;
constexpr std::size_t kMiB = 1024 * kKiB;
const std::string kTextUnit = "BAsd7&jh23";
const std::string kBinaryUnit("\x00\xFE\x23\xFA\xF0", 5);

std::string filled(const std::string& unit, std::size_t size) {
  std::string out(size, ' ');
  for (std::size_t i = 0; i < size; ++i) out[i] = unit[i % unit.size()];
  return out;
}

Script in_fragments(const Frame& message, std::size_t size) {
  return Script().send(fragments(message, size)).expect(message).ends();
}

// One after the other: the next is sent when the last has come back.
Script many(const Frame& message) {
  Script script;
  for (int i = 0; i < (1000); ++i) script.send({message}).expect(message);
  return script.ends();
}

struct Kind {
  Frame (*frame)(std::string payload);
  std::string unit;                               // what messages are made of
  std::string letter;                             // those in fragments, and the many
  std::string whole, in_frames, in_writes, many;  // sections
};
const std::array<Kind, 2> kKinds = {
    {{text, kTextUnit, "*", "9_1_", "9_3_", "9_5_", "9_7_"},
     {binary, kBinaryUnit, "\xFE", "9_2_", "9_4_", "9_6_", "9_8_"}}};

void add_kind(std::vector<Case>& cases, const Kind& kind) {
  constexpr std::array kSizes = {64 * kKiB, 256 * kKiB, kMiB, 4 * kMiB, 8 * kMiB, 16 * kMiB};
  constexpr std::array kFragments = {std::size_t{64}, std::size_t{256}, kKiB, 4 * kKiB, 16 * kKiB,
                                     64 * kKiB,       256 * kKiB,       kMiB, 4 * kMiB};
  constexpr std::array<std::size_t, 6> kWrites = {64, 128, 256, 512, 1024, 2048};
  constexpr std::array<std::size_t, 6> kMany = {0, 16, 64, 256, 1024, 4096};
  const auto message = [kind](std::size_t size) { return kind.frame(filled(kind.unit, size)); };
  const auto same = [kind](std::size_t size) { return kind.frame(filled(kind.letter, size)); };
  for (std::size_t i = 0; i < kSizes.size(); ++i) {
    cases.push_back({numbered(kind.whole, i), [=] { return echo(message(kSizes[i])); }});
  }
  for (std::size_t i = 0; i < kFragments.size(); ++i) {
    cases.push_back(
        {numbered(kind.in_frames, i), [=] { return in_fragments(same(4 * kMiB), kFragments[i]); }});
  }
  for (std::size_t i = 0; i < kWrites.size(); ++i) {
    cases.push_back(
        {numbered(kind.in_writes, i), [=] { return echo(message(kMiB), in_octets(kWrites[i])); }});
  }
  for (std::size_t i = 0; i < kMany.size(); ++i) {
    cases.push_back({numbered(kind.many, i), [=] { return many(same(kMany[i])); }});
  }
}

}  // namespace

bool is_full_run() {
  const char* wanted = getenv("EPULSE_CONFORMANCE");
  return wanted != nullptr && std::string(wanted) == "full";
}

std::vector<Case> autobahn_limits() {
  std::vector<Case> cases;
  for (const Kind& kind : kKinds) add_kind(cases, kind);
  cases.push_back({"10_1_1", [] { return in_fragments(text(std::string(65536, '*')), 1300); }});
  return cases;
}

}  // namespace epulse::conformance
