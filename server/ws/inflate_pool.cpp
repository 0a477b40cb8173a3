#include "server/ws/inflate_pool.hpp"

#include <algorithm>
#include <array>

namespace epulse::ws {
namespace {

constexpr std::size_t kSpares = 8;
constexpr std::size_t kOutputBytes = std::size_t{64} * 1024;
constexpr std::size_t kOutputBytesKept = std::size_t{1024} * 1024;
constexpr std::array<std::uint8_t, 4> kTail = {0x00, 0x00, 0xFF, 0xFF};

}  // namespace

InflatePool::InflatePool(std::uint64_t cap_bytes) : cap_bytes_(cap_bytes), output_(kOutputBytes) {
  spares_.reserve(kSpares);
  spare_bytes_.reserve(kSpares);
}

InflatePool::~InflatePool() = default;

InflatePool::LoanPtr InflatePool::lend(const DeflateSide& peer) {
  if (peer.context_takeover) return LoanPtr(new Loan(*this, peer));
  // Its window is the largest, so that one fits all.
  if (spares_.empty()) return LoanPtr(new Loan(*this, {false, kMaxWindowBits}));
  LoanPtr loan(spares_.back().release());
  spares_.pop_back();
  loan->inflater_.reset();
  return loan;
}

void InflatePool::Return::operator()(Loan* loan) const {
  std::unique_ptr<Loan> owned(loan);
  InflatePool& pool = loan->pool_;
  pool.let_go(*loan);
  if (!loan->context_takeover_ && pool.spares_.size() < kSpares) {
    pool.spares_.push_back(std::move(owned));
  }
}

InflatePool::Inflated InflatePool::inflate(Loan& loan, std::span<const std::uint8_t> piece,
                                           bool is_last, std::uint64_t limit_bytes) {
  trim();
  Inflated inflated;
  // The tail is never what pauses: it comes to nothing, or next to it.
  if (inflate_some(loan, piece, limit_bytes, allowance_bytes_, inflated) && is_last &&
      inflate_some(loan, kTail, limit_bytes, kNoEnd, inflated) && !loan.inflater_.at_block_end()) {
    inflated.status = Status::kCorrupt;  // cut short
  }
  allowance_bytes_ -= std::min<std::uint64_t>(allowance_bytes_, inflated.bytes.size());
  return inflated;
}

// Puts what `piece` comes to behind what is there already; false when it did not take all of it.
bool InflatePool::inflate_some(Loan& loan, std::span<const std::uint8_t> piece,
                               std::uint64_t limit_bytes, std::uint64_t pause_bytes,
                               Inflated& inflated) {
  std::size_t used = inflated.bytes.size();
  while (true) {
    // One byte more than is allowed tells that there are too many.
    const std::size_t end =
        std::min<std::size_t>(output_.size(), std::min(limit_bytes + 1, pause_bytes));
    auto room = std::span(output_).first(end).subspan(used);
    const Inflater::Status status = loan.inflater_.inflate(piece, room);
    used = end - room.size();
    inflated.bytes = std::span(output_).first(used);
    if (used > limit_bytes) {
      inflated.status = Status::kTooBig;
    } else if (status == Inflater::Status::kCorrupt) {
      inflated.status = Status::kCorrupt;
    } else if (status == Inflater::Status::kInputUsed) {
      return true;
    } else if (used == pause_bytes) {
      inflated.status = Status::kPaused;
      inflated.unread = piece;
    } else {
      output_.resize(2 * output_.size());
      continue;
    }
    return false;
  }
}

bool InflatePool::hold(Loan& loan, std::uint64_t bytes) {
  if (loan.held_bytes_ == 0) bytes += kInflaterBytes;
  if (bytes > cap_bytes_ - std::min(cap_bytes_, held_bytes_)) return false;
  loan.held_bytes_ += bytes;
  held_bytes_ += bytes;
  return true;
}

void InflatePool::release(LoanPtr& loan) {
  let_go(*loan);
  if (!loan->context_takeover_) loan.reset();
}

void InflatePool::let_go(Loan& loan) {
  held_bytes_ -= loan.held_bytes_;
  loan.held_bytes_ = 0;
}

std::unique_ptr<InflatePool::Bytes> InflatePool::lend_bytes() {
  if (spare_bytes_.empty()) return std::make_unique<Bytes>();
  std::unique_ptr<Bytes> bytes = std::move(spare_bytes_.back());
  spare_bytes_.pop_back();
  return bytes;
}

void InflatePool::give_back(std::unique_ptr<Bytes> bytes) {
  if (spare_bytes_.size() == kSpares || bytes->capacity() > kOutputBytesKept) return;
  bytes->clear();
  spare_bytes_.push_back(std::move(bytes));
}

// A large message leaves no large buffer behind.
void InflatePool::trim() {
  if (output_.size() <= kOutputBytesKept) return;
  output_.resize(kOutputBytes);
  output_.shrink_to_fit();
}

}  // namespace epulse::ws
