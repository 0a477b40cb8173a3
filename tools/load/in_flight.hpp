#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <deque>

namespace epulse::load {

// Messages in flight that have their times in common.
struct Awaited {
  std::uint64_t due_ns;
  std::uint64_t sent_ns;  // unless nothing is recorded: then 0
  std::uint32_t count = 1;
};

// The messages, or handshakes, of a connection that are not answered yet, in their order. What
// leaves together takes one place.
class InFlight {
 public:
  bool empty() const { return size_ == 0; }
  std::size_t size() const { return size_; }

  void add(const Awaited& run) {
    if (run.count == 0) return;
    size_ += run.count;
    const bool joins =
        !runs_.empty() && runs_.back().due_ns == run.due_ns && runs_.back().sent_ns == run.sent_ns;
    if (joins) {
      runs_.back().count += run.count;
    } else {
      runs_.push_back(run);
    }
  }

  // Removes the first `count`, which there must be; `each` gets them in runs.
  template <typename Each>
  void take(std::size_t count, Each&& each) {
    size_ -= count;
    while (count > 0) {
      Awaited& first = runs_.front();
      const auto taken = static_cast<std::uint32_t>(std::min<std::size_t>(count, first.count));
      each(Awaited{first.due_ns, first.sent_ns, taken});
      first.count -= taken;
      count -= taken;
      if (first.count == 0) runs_.pop_front();
    }
  }

  template <typename Each>
  void for_each(Each&& each) const {
    for (const Awaited& run : runs_) each(run);
  }

  void clear() {
    runs_.clear();
    size_ = 0;
  }

 private:
  std::deque<Awaited> runs_;
  std::size_t size_ = 0;
};

}  // namespace epulse::load
