#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

// What a fuzz target is made of. libFuzzer calls it in a `fuzz` build, replay.cpp in all others.
extern "C" {
int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);
// Only where blind changes would not get past a checksum.
size_t LLVMFuzzerCustomMutator(uint8_t* data, size_t size, size_t size_max, unsigned seed);
// The caller's own mutation, of `size` bytes in a buffer of `size_max`; returns the new size.
size_t LLVMFuzzerMutate(uint8_t* data, size_t size, size_t size_max);
}

namespace epulse::fuzz {

// Well-formed inputs to start from, made by the code under test, so that they never go stale.
std::vector<std::string> seeds();

inline std::string_view text_of(const uint8_t* data, size_t size) {
  return {reinterpret_cast<const char*>(data), size};
}

// A property that must hold for every input; libFuzzer keeps the input that breaks one.
inline void require(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "fuzz: does not hold: %s\n", what);
  std::abort();
}

}  // namespace epulse::fuzz
