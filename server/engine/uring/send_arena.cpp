#include "server/engine/uring/send_arena.hpp"

#include <algorithm>
#include <utility>

namespace epulse::server::uring {
namespace {

constexpr std::size_t kMoveBytes = std::size_t{4} * 1024;

std::size_t total(std::span<const Part> parts) {
  std::size_t bytes = 0;
  for (const Part part : parts) bytes += part.size();
  return bytes;
}

}  // namespace

std::uint8_t* SendArena::extend(Run& run, std::size_t bytes) {
  if (run.bytes == 0) run.start = static_cast<std::uint32_t>(used_);
  const bool last = run.start + run.bytes == used_;
  const std::size_t wanted = bytes + (last ? 0 : run.bytes);
  if (wanted > memory_.size() - used_ || (!last && run.bytes > kMoveBytes)) return nullptr;
  if (!last) move_to_end(run);
  run.bytes += static_cast<std::uint32_t>(bytes);
  return memory_.data() + std::exchange(used_, used_ + bytes);
}

bool SendArena::append(Run& run, std::span<const Part> parts) {
  std::uint8_t* at = extend(run, total(parts));
  if (at == nullptr) return false;
  for (const Part part : parts) at = std::copy(part.begin(), part.end(), at);
  return true;
}

void SendArena::move_to_end(Run& run) {
  const Part bytes = view(run);
  std::copy(bytes.begin(), bytes.end(), memory_.begin() + static_cast<std::ptrdiff_t>(used_));
  run.start = static_cast<std::uint32_t>(used_);
  used_ += run.bytes;
}

}  // namespace epulse::server::uring
