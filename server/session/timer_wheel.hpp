#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "server/engine/engine.hpp"

namespace epulse::server {

// When to look at which connection next. A timer that moves with every message costs nothing until
// the old time comes: the owner then says how late it has become (a hashed wheel, Varghese and
// Lauck 1987, with lazy cancellation). Eight bytes per entry.
class TimerWheel {
 public:
  // `tick_ns`: how exact a time is. Times beyond `slots` ticks are asked about earlier.
  TimerWheel(std::uint64_t tick_ns, std::size_t slots, std::uint64_t now_ns)
      : slots_(slots), tick_ns_(tick_ns), tick_(now_ns / tick_ns) {}

  // Has the next advance() at or after the time that is returned call for `conn`: `due_ns`, rounded
  // up to a tick, or the end of the wheel if that is earlier.
  std::uint64_t add(ConnId conn, std::uint64_t due_ns) {
    const std::uint64_t wanted = due_ns / tick_ns_ + (due_ns % tick_ns_ != 0 ? 1 : 0);
    const std::uint64_t tick = std::clamp(wanted, tick_ + 1, tick_ + slots_.size() - 1);
    slots_[tick % slots_.size()].push_back(conn);
    return tick * tick_ns_;
  }

  // Calls `due(conn)` for each whose time has come, also if the connection is gone. It may add().
  template <typename Due>
  void advance(std::uint64_t now_ns, Due&& due) {
    const std::uint64_t target = now_ns / tick_ns_;
    // A loop that was held up for more than a whole turn has each slot to look at once.
    if (target > tick_ + slots_.size()) tick_ = target - slots_.size();
    while (tick_ < target) {
      ++tick_;
      // Out of the wheel first: `due` may add.
      std::vector<ConnId> conns = std::exchange(slots_[tick_ % slots_.size()], std::move(spare_));
      for (const ConnId conn : conns) due(conn);
      conns.clear();
      spare_ = std::move(conns);  // its memory serves the next slot
    }
  }

 private:
  std::vector<std::vector<ConnId>> slots_;
  std::vector<ConnId> spare_;
  std::uint64_t tick_ns_;
  std::uint64_t tick_;  // the last one handled
};

}  // namespace epulse::server
