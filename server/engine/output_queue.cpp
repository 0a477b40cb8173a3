#include "server/engine/output_queue.hpp"

#include <algorithm>
#include <utility>

namespace epulse::server {
namespace {

// Small copies join up to this size, so that a backlog of tiny frames is not a list of tiny chunks.
constexpr std::size_t kJoinBytes = std::size_t{64} * 1024;
constexpr std::size_t kSpareQueues = 1024;

}  // namespace

void OutputQueue::append(Part bytes) {
  if (bytes.empty()) return;
  bytes_ += bytes.size();
  const bool join = head_ < chunks_.size() && !chunks_.back().shared &&
                    chunks_.back().own.size() + bytes.size() <= kJoinBytes;
  if (!join) chunks_.emplace_back();
  Bytes& own = chunks_.back().own;
  own.insert(own.end(), bytes.begin(), bytes.end());
}

void OutputQueue::append_shared(SharedBytes bytes) {
  if (bytes->empty()) return;
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

void OutputQueue::consume(std::size_t bytes) {
  bytes_ -= bytes;
  while (bytes > 0) {
    const std::size_t left = chunks_[head_].bytes().size() - head_offset_;
    if (bytes < left) {
      head_offset_ += bytes;
      break;
    }
    bytes -= left;
    chunks_[head_] = {};  // Let go of the buffer now: others may be waiting for its memory.
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

void OutputQueue::clear() {
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
  if (spare_.size() >= kSpareQueues) return;
  queue->clear();
  spare_.push_back(std::move(queue));
}

}  // namespace epulse::server
