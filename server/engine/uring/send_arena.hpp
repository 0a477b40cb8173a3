#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "server/engine/engine.hpp"

namespace epulse::server::uring {

// Where small sends of one turn are gathered: each connection's in one run of bytes, the runs one
// behind the other. Their memory stays where it is until clear().
class SendArena {
 public:
  struct Run {
    std::uint32_t start = 0;
    std::uint32_t bytes = 0;
  };

  explicit SendArena(std::size_t capacity) : memory_(capacity) {}

  // Makes `run` longer by so many bytes, to be filled. nullptr, with nothing done, when there is no
  // room, or when the run would have to move and is too long for that.
  std::uint8_t* extend(Run& run, std::size_t bytes);
  // Likewise by `parts`; whether it did.
  bool append(Run& run, std::span<const Part> parts);

  // Where extend() would make the last run longer.
  std::span<std::uint8_t> rest() { return std::span(memory_).subspan(used_); }
  Part rest() const { return Part(memory_).subspan(used_); }

  Part view(const Run& run) const { return Part(memory_).subspan(run.start, run.bytes); }

  void clear() { used_ = 0; }

 private:
  void move_to_end(Run& run);

  Bytes memory_;
  std::size_t used_ = 0;
};

}  // namespace epulse::server::uring
