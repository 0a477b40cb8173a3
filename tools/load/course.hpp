#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdint>
#include <string_view>

namespace epulse::load {

// Why the first connection that could not be opened could not: one thread tells, another asks.
class FirstFailure {
 public:
  void tell(std::string_view why) {
    if (claimed_.exchange(true)) return;
    size_ = std::min(why.size(), text_.size());
    std::copy_n(why.begin(), size_, text_.begin());
    told_.store(true, std::memory_order_release);
  }
  // Empty when there is none, or not yet.
  std::string_view text() const {
    return told_.load(std::memory_order_acquire) ? std::string_view(text_.data(), size_)
                                                 : std::string_view();
  }

 private:
  std::atomic<bool> claimed_{false};
  std::atomic<bool> told_{false};
  std::size_t size_ = 0;
  std::array<char, 1024> text_{};
};

// How the threads of a run, in whichever process, and main agree on its course.
struct Course {
  std::atomic<std::uint32_t> opened{0};      // threads whose connections are up, or have failed
  std::atomic<std::uint32_t> answered{0};    // threads that wait for no answers any more
  std::atomic<std::uint32_t> counted{0};     // of these, threads that count nothing any more
  std::atomic<std::uint32_t> finished{0};    // threads that are done
  std::atomic<std::uint64_t> start_ns{0};    // set by main once all are up; 0: not yet
  std::atomic<bool> stop{false};             // Ctrl-C
  std::atomic<bool> reported{false};         // main has counted the connections: they may be closed
  std::atomic<std::uint64_t> peak_bytes{0};  // memory of processes that have ended
  FirstFailure first_failure;
};

}  // namespace epulse::load
