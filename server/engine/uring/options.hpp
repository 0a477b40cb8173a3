#pragma once

#include <cstddef>

namespace epulse::server::uring {

struct RingOptions {
  unsigned submissions = 1024;
  unsigned completions = 8192;
  unsigned files = 0;  // places in the table of files; 0: as many as RLIMIT_NOFILE
};

struct BufferShape {
  unsigned count = 0;     // a power of two
  std::size_t bytes = 0;  // of each; together whole pages
};

struct BufferOptions {
  // Where the kernel can fill a buffer bit by bit (Linux 6.12); count 0: not even there.
  BufferShape incremental{16, std::size_t{64} * 1024};
  // Where each receive uses up a buffer. About the size of an L2 cache.
  BufferShape whole{256, std::size_t{4} * 1024};
};

struct ZeroCopyOptions {
  std::size_t from_bytes =
      0;  // what is sent from one buffer of so many, without a copy; 0: nothing
  // Bytes that the kernel may hold at once; more are copied.
  std::size_t held_max_bytes = std::size_t{256} * 1024 * 1024;
  bool although_copied = false;  // Goes on where the kernel copied all the same: to try it out.
};

}  // namespace epulse::server::uring
