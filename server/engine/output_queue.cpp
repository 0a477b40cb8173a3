#include "server/engine/output_queue.hpp"

#include <algorithm>
#include <utility>

namespace epulse::server {
namespace {

// Small copies join up to this size, so that a backlog of tiny frames is not a list of tiny chunks.
constexpr std::size_t kJoinBytes = std::size_t{64} * 1024;
// A reference costs the table more than such a copy, and each send a part.
constexpr std::size_t kCopiedBytes = 512;
constexpr std::size_t kSpareBytes = 1024;  // of a small copy's memory, kept for the next one
constexpr std::size_t kSpareQueues = 1024;
constexpr std::size_t kSpareTable = 64;  // chunks; what a rare backlog needed is not kept

}  // namespace

void OutputQueue::append(Part bytes) {
  if (bytes.empty()) return;
  bytes_ += bytes.size();
  const bool join = head_ < chunks_.size() && !chunks_.back().shared &&
                    chunks_.back().own.size() + bytes.size() <= kJoinBytes;
  if (!join) chunks_.push_back({{}, std::exchange(spare_, {})});
  Bytes& own = chunks_.back().own;
  own.insert(own.end(), bytes.begin(), bytes.end());
}

void OutputQueue::append_shared(SharedBytes bytes) {
  if (bytes->size() <= kCopiedBytes) return append(*bytes);
  bytes_ += bytes->size();
  chunks_.push_back({std::move(bytes), {}});
}

std::size_t OutputQueue::gather(std::span<iovec> out) const {
  std::size_t filled = 0;
  std::size_t offset = head_offset_;
  for (std::size_t i = head_; i < chunks_.size() && filled < out.size(); ++i, ++filled) {
    const Bytes& bytes = chunks_[i].bytes();
    // sendmsg() does not write through iov_base.
    out[filled] = {const_cast<std::uint8_t*>(bytes.data()) + offset, bytes.size() - offset};
    offset = 0;
  }
  return filled;
}

void OutputQueue::share(std::size_t parts, std::vector<SharedBytes>& out) {
  for (std::size_t i = head_; i < head_ + parts; ++i) {
    Chunk& chunk = chunks_[i];
    if (!chunk.shared) chunk.shared = std::make_shared<const Bytes>(std::move(chunk.own));
    chunk.own = {};
    out.push_back(chunk.shared);
  }
}

void OutputQueue::consume(std::size_t bytes) {
  bytes_ -= bytes;
  while (bytes > 0) {
    const std::size_t left = chunks_[head_].bytes().size() - head_offset_;
    if (bytes < left) {
      head_offset_ += bytes;
      break;
    }
    bytes -= left;
    let_go(chunks_[head_]);  // Now: others may be waiting for its memory.
    head_offset_ = 0;
    ++head_;
  }
  if (bytes_ == 0) return clear();
  // Keep the table from growing for ever under a backlog that never empties.
  if (head_ >= 64 && head_ * 2 >= chunks_.size()) {
    chunks_.erase(chunks_.begin(), chunks_.begin() + static_cast<std::ptrdiff_t>(head_));
    head_ = 0;
  }
}

void OutputQueue::let_go(Chunk& chunk) {
  if (spare_.capacity() == 0 && chunk.own.capacity() <= kSpareBytes) {
    spare_ = std::move(chunk.own);
    spare_.clear();
  }
  chunk = {};
}

void OutputQueue::clear() {
  for (std::size_t i = head_; i < chunks_.size(); ++i) let_go(chunks_[i]);
  chunks_.clear();
  head_ = 0;
  head_offset_ = 0;
  bytes_ = 0;
}

std::unique_ptr<OutputQueue> OutputPool::take() {
  if (spare_.empty()) return std::make_unique<OutputQueue>();
  std::unique_ptr<OutputQueue> queue = std::move(spare_.back());
  spare_.pop_back();
  return queue;
}

void OutputPool::give_back(std::unique_ptr<OutputQueue> queue) {
  if (spare_.size() >= kSpareQueues || queue->table() > kSpareTable) return;
  queue->clear();
  spare_.push_back(std::move(queue));
}

}  // namespace epulse::server
