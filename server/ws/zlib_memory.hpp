#pragma once

#include <zlib.h>

#include <cstddef>
#include <new>

// zlib's memory comes from operator new, so that whoever counts the heap counts it.
namespace epulse::ws {

inline void* zlib_allocate(void* /*opaque*/, unsigned items, unsigned bytes) {
  return ::operator new (std::size_t{items} * bytes, std::nothrow);
}

inline void zlib_free(void* /*opaque*/, void* memory) {
  ::operator delete(memory);
}

inline void use_our_memory(z_stream& stream) {
  stream.zalloc = zlib_allocate;
  stream.zfree = zlib_free;
}

// What zlib takes in one call: its counts have 32 bits.
constexpr std::size_t kZlibStepBytes = std::size_t{1} << 30U;

}  // namespace epulse::ws
