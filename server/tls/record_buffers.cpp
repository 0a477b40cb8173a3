#include "server/tls/record_buffers.hpp"

#include <malloc.h>
#include <openssl/crypto.h>

#include <array>
#include <cstddef>
#include <cstdlib>

namespace epulse::tls {
namespace {

// A record holds 16 KiB of plaintext, and what protects it: less than 400 bytes with OpenSSL 3
// (ssl3_setup_read_buffer(), ssl3_setup_write_buffer()).
constexpr std::size_t kSmallest = std::size_t{16} * 1024;
constexpr std::size_t kLargest = std::size_t{17} * 1024;  // and so large is each: it fits the next
// What malloc() may add. Others that are so little larger are kept as well.
constexpr std::size_t kOverhead = 64;
constexpr std::size_t kKept = 16;  // of each thread

// Who looks for memory that is used after it was freed must see it freed.
constexpr bool has_sanitizer() {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  return true;
#else
  return false;
#endif
}

// Trivial, so that to look costs no call. OpenSSL frees memory even after a thread's own objects
// are gone.
struct Kept {
  std::array<void*, kKept> buffers;
  std::size_t count;
  bool ended;
};
thread_local constinit Kept kept{};

struct EndOfThread {
  ~EndOfThread() {
    kept.ended = true;
    while (kept.count > 0) std::free(kept.buffers[--kept.count]);
  }
};

void* allocate(std::size_t bytes, const char* /*file*/, int /*line*/) {
  if (bytes == 0) return nullptr;
  if (bytes < kSmallest || bytes > kLargest) return std::malloc(bytes);
  return kept.count > 0 ? kept.buffers[--kept.count] : std::malloc(kLargest);
}

void release(void* memory, const char* /*file*/, int /*line*/) {
  if (memory == nullptr) return;
  const std::size_t bytes = malloc_usable_size(memory);
  const bool fits = bytes >= kLargest && bytes < kLargest + kOverhead;
  if (!fits || kept.ended || kept.count == kKept) return std::free(memory);
  static thread_local const EndOfThread end;
  kept.buffers[kept.count++] = memory;
}

void* reallocate(void* memory, std::size_t bytes, const char* file, int line) {
  if (memory == nullptr) return allocate(bytes, file, line);
  if (bytes != 0) return std::realloc(memory, bytes);
  release(memory, file, line);
  return nullptr;
}

}  // namespace

bool keep_record_buffers() {
  return !has_sanitizer() && CRYPTO_set_mem_functions(allocate, reallocate, release) == 1;
}

std::size_t kept_record_buffers() {
  return kept.count;
}

}  // namespace epulse::tls
