#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <span>
#include <vector>

namespace epulse::model {

// An epoll instance of the target, as found at one look.
struct LoopLook {
  uint64_t epoll_id = 0;
  int32_t epfd = -1;
  int32_t depth = 0;     // items ready; -1 while a scan has them
  uint32_t waiters = 0;  // threads blocked in epoll_wait
};

// For how long items have been ready on it while nobody waits for them and no wait has returned: at
// least so long, since it is looked at now and then. 0: somebody serves it, or nothing is ready.
struct LoopStall {
  uint64_t epoll_id = 0;
  int32_t epfd = -1;
  int32_t depth = 0;
  double seconds = 0;
};

// Event loops that do not turn. What the probe counts when a wait returns says nothing of a loop in
// which none does; what is asked here is whether there is something that it should see to. Pure:
// `now_ns` is monotonic, at the end of an interval.
class StallWatch {
 public:
  // Whether some loop had no wait that returned, so that it has to be looked at, by `active`: the
  // instances on which waits returned in the interval.
  bool wants_look(const std::set<uint64_t>& active, uint64_t now_ns) const;

  // All instances that the target has.
  void look(std::span<const LoopLook> found, const std::set<uint64_t>& active, uint64_t now_ns);

  // Of each instance known. One on which no wait has returned since we watch may be a left-over of
  // the program's; it counts as long as no other loop of the process turns either.
  std::vector<LoopStall> stalls(const std::set<uint64_t>& active, uint64_t now_ns);

 private:
  struct Loop {
    int32_t epfd = -1;
    int32_t depth = 0;
    uint64_t since_ns = 0;  // not served; 0: it is
    bool has_turned = false;
  };

  std::map<uint64_t, Loop> loops_;
  uint64_t next_look_ns_ = 0;
};

}  // namespace epulse::model
