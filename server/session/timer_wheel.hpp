#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace epulse::server {

// When to look at which user next: one timer each, users named by small numbers. A timer that moves
// later with every message costs nothing until its old time comes: the owner then says how late it
// has become (a hashed wheel, Varghese and Lauck 1987, with lazy postponement). Eight bytes per
// user, in lists that run through them: only a new user allocates.
class TimerWheel {
 public:
  // `tick_ns`: how exact a time is. Times beyond `slots` ticks are asked about earlier.
  TimerWheel(std::uint64_t tick_ns, std::uint32_t slots, std::uint64_t now_ns)
      : slots_(slots),
        due_now_(slots),
        first_user_(slots + 1),
        tick_ns_(tick_ns),
        tick_(now_ns / tick_ns) {
    grow(first_user_);
  }

  // Has the next advance() at or after the time that is returned call for `user`: `due_ns`, rounded
  // up to a tick, or the end of the wheel if that is earlier. Takes the place of an earlier set().
  std::uint64_t set(std::uint32_t user, std::uint64_t due_ns) {
    const std::uint64_t wanted = due_ns / tick_ns_ + (due_ns % tick_ns_ != 0 ? 1 : 0);
    const std::uint64_t tick = std::clamp(wanted, tick_ + 1, tick_ + slots_ - 1);
    const std::uint32_t node = first_user_ + user;
    if (node >= links_.size()) grow(node + 1);
    unlink(node);
    link_before(slot_of(tick), node);
    return tick * tick_ns_;
  }

  void clear(std::uint32_t user) {
    if (first_user_ + user < links_.size()) unlink(first_user_ + user);
  }

  // Calls `due(user)` for each whose time has come, `at_most` of them; whether more are left for
  // the next call. `due` may set() and clear().
  template <typename Due>
  bool advance(std::uint64_t now_ns, std::size_t at_most, Due&& due) {
    const std::uint64_t target = now_ns / tick_ns_;
    // A loop that was held up for more than a whole turn has each slot to look at once.
    if (target > tick_ + slots_) tick_ = target - slots_;
    for (;;) {
      for (; links_[due_now_].next != due_now_; --at_most) {
        if (at_most == 0) return true;
        const std::uint32_t node = links_[due_now_].next;
        unlink(node);
        due(node - first_user_);
      }
      if (tick_ >= target) return false;
      take_over(slot_of(++tick_));  // out of the wheel first: `due` may set
    }
  }

 private:
  // Nodes of circular lists: a head for each slot, one for those being called, then the users. A
  // node in no list is one on its own.
  struct Link {
    std::uint32_t previous;
    std::uint32_t next;
  };

  std::uint32_t slot_of(std::uint64_t tick) const {
    return static_cast<std::uint32_t>(tick % slots_);
  }

  void grow(std::uint32_t nodes) {
    for (auto node = static_cast<std::uint32_t>(links_.size()); node < nodes; ++node) {
      links_.push_back({node, node});
    }
  }

  void unlink(std::uint32_t node) {
    const Link link = links_[node];
    links_[link.previous].next = link.next;
    links_[link.next].previous = link.previous;
    links_[node] = {node, node};
  }

  void link_before(std::uint32_t head, std::uint32_t node) {
    const std::uint32_t last = links_[head].previous;
    links_[node] = {last, head};
    links_[last].next = node;
    links_[head].previous = node;
  }

  // Makes the list of `head`, which is then empty, that of those being called, which is empty.
  void take_over(std::uint32_t head) {
    link_before(head, due_now_);
    unlink(head);
  }

  std::vector<Link> links_;
  std::uint32_t slots_;
  std::uint32_t due_now_;
  std::uint32_t first_user_;
  std::uint64_t tick_ns_;
  std::uint64_t tick_;  // the last one handled
};

}  // namespace epulse::server
