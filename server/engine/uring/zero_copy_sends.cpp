#include "server/engine/uring/zero_copy_sends.hpp"

#include <mutex>
#include <utility>

namespace epulse::server::uring {
namespace {

// Reachable for ever, so that nobody takes it for forgotten; engines end in threads of their own.
void keep_for_ever(std::vector<SharedBytes> memory) {
  static auto& kept = *new std::vector<std::vector<SharedBytes>>;
  static std::mutex mutex;
  const std::scoped_lock lock(mutex);
  kept.push_back(std::move(memory));
}

}  // namespace

ZeroCopySends::~ZeroCopySends() {
  for (Send& send : sends_) {
    if (!send.memory.empty()) keep_for_ever(std::move(send.memory));
  }
}

std::uint32_t ZeroCopySends::begin(ConnId conn, std::size_t bytes) {
  if (free_.empty()) {
    free_.push_back(static_cast<std::uint32_t>(sends_.size()));
    sends_.emplace_back();
  }
  const std::uint32_t number = free_.back();
  free_.pop_back();
  sends_[number].conn = conn;
  sends_[number].bytes = bytes;
  bytes_ += bytes;
  return number;
}

void ZeroCopySends::completed(std::uint32_t number, std::size_t taken) {
  bytes_ -= sends_[number].bytes - taken;
  sends_[number].bytes = taken;
}

void ZeroCopySends::end(std::uint32_t number) {
  bytes_ -= sends_[number].bytes;
  sends_[number].memory.clear();
  free_.push_back(number);
}

}  // namespace epulse::server::uring
