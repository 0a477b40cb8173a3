#pragma once

#include <liburing.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "server/engine/uring/options.hpp"
#include "server/engine/uring/ring.hpp"

namespace epulse::server::uring {

// Memory of its own mapping.
class Mapping {
 public:
  Mapping() = default;
  Mapping(void* base, std::size_t bytes) : base_(static_cast<std::uint8_t*>(base)), bytes_(bytes) {}
  Mapping(Mapping&& other) noexcept;
  Mapping& operator=(Mapping&& other) noexcept;
  Mapping(const Mapping&) = delete;
  Mapping& operator=(const Mapping&) = delete;
  ~Mapping();

  std::uint8_t* base() const { return base_; }

 private:
  std::uint8_t* base_ = nullptr;
  std::size_t bytes_ = 0;
};

// What the connections receive into: a ring of buffers that the kernel takes one after the other,
// whoever receives. They lie side by side in memory, and the first follows the last, which is
// mapped twice: what one connection receives in one go is one span.
class ReceiveBuffers {
 public:
  static constexpr std::uint16_t kGroup = 0;

  // Throws Error.
  ReceiveBuffers(Ring& ring, const BufferOptions& options);

  // What a completion with a buffer has brought. Good until give_back(). Each once, in the order of
  // the completions.
  std::span<std::uint8_t> take(const Completion& done);

  // Whether what `next` has brought begins where `bytes` end. Before it is taken.
  bool follows(std::span<const std::uint8_t> bytes, const Completion& next) const;

  // Lets the kernel use again what was used up.
  void give_back();

 private:
  bool offer(Ring& ring, const BufferShape& shape, std::uint16_t flags);
  std::uint8_t* start(const Completion& done) const;

  BufferShape shape_;
  Mapping memory_;
  Mapping entries_;
  io_uring_buf_ring* ring_ = nullptr;  // in entries_
  std::vector<std::size_t> used_;      // bytes, by buffer
  std::vector<std::uint16_t> used_up_;
  bool incremental_ = false;
};

}  // namespace epulse::server::uring
