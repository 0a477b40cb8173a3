#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <span>
#include <vector>

#include "server/ws/deflate_terms.hpp"
#include "server/ws/inflater.hpp"

namespace epulse::ws {

// What the connections of one thread inflate with. Who has no compressed message under way owns
// nothing of it, unless the peer takes its context over from message to message.
class InflatePool {
 public:
  // That an inflater holds, for the sake of cap_bytes: a window of 32 KiB, and tables.
  static constexpr std::uint64_t kInflaterBytes = std::uint64_t{40} * 1024;

  // Bytes that messages which have not wholly arrived may hold, inflaters included. A message of
  // some KB can hold the largest size there is, so a limit per connection alone bounds nothing.
  explicit InflatePool(std::uint64_t cap_bytes);
  InflatePool(const InflatePool&) = delete;
  InflatePool& operator=(const InflatePool&) = delete;
  ~InflatePool();

  // An inflater on loan, for a message or, with context takeover, a connection.
  class Loan;
  struct Return {
    void operator()(Loan* loan) const;
  };
  using LoanPtr = std::unique_ptr<Loan, Return>;
  // Throws std::bad_alloc.
  LoanPtr lend(const DeflateSide& peer);

  // How many bytes the pieces to come may inflate to, all together, until this is called again: so
  // that others get their turn. Without a call there is no end to it.
  void allow(std::uint64_t bytes) { allowance_bytes_ = bytes; }

  enum class Status : std::uint8_t { kFine, kTooBig, kCorrupt, kPaused };
  struct Inflated {
    Status status = Status::kFine;
    std::span<std::uint8_t> bytes;         // good until the next call, for whichever loan
    std::span<const std::uint8_t> unread;  // kPaused: the rest of the piece, to be given once more
  };
  // Inflates a piece of a message, with the tail behind the last one (RFC 7692, 7.2.2). Ends at
  // once when it comes to more than `limit_bytes`, and pauses at the end of what is allowed. Throws
  // std::bad_alloc.
  Inflated inflate(Loan& loan, std::span<const std::uint8_t> piece, bool is_last,
                   std::uint64_t limit_bytes);

  // A message goes on and holds this many inflated bytes more; false when the cap is reached.
  bool hold(Loan& loan, std::uint64_t bytes);
  // The message has ended.
  void release(LoanPtr& loan);

  std::uint64_t held_bytes() const { return held_bytes_; }
  bool is_half_full() const { return held_bytes_ > cap_bytes_ / 2; }

  // Empty, with the memory of those that were given back: so that a message which is put together
  // from pieces costs no allocation.
  using Bytes = std::vector<std::uint8_t>;
  std::unique_ptr<Bytes> lend_bytes();
  void give_back(std::unique_ptr<Bytes> bytes);

 private:
  static constexpr std::uint64_t kNoEnd = std::numeric_limits<std::uint64_t>::max();

  bool inflate_some(Loan& loan, std::span<const std::uint8_t> piece, std::uint64_t limit_bytes,
                    std::uint64_t pause_bytes, Inflated& inflated);
  void let_go(Loan& loan);
  void trim();

  std::uint64_t cap_bytes_;
  std::uint64_t held_bytes_ = 0;
  std::uint64_t allowance_bytes_ = kNoEnd;
  std::vector<std::unique_ptr<Loan>> spares_;
  std::vector<std::unique_ptr<Bytes>> spare_bytes_;
  Bytes output_;
};

class InflatePool::Loan {
 public:
  Loan(InflatePool& pool, const DeflateSide& peer)
      : inflater_(peer.window_bits), pool_(pool), context_takeover_(peer.context_takeover) {}

 private:
  friend class InflatePool;

  Inflater inflater_;
  InflatePool& pool_;
  std::uint64_t held_bytes_ = 0;
  bool context_takeover_;
};

}  // namespace epulse::ws
