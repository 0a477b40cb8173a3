#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <tuple>
#include <vector>

#include "bpf/epoll_list.h"

// Of samples of all epoll instances of the host: who had the deepest queues. Pure.
namespace epulse::model {

// One epoll descriptor over a number of passes.
struct EpollTopRow {
  uint32_t pid = 0;  // as we see it
  std::string name;  // of the process
  int epfd = -1;
  uint64_t passes = 0;       // in which it was there
  uint64_t depth_known = 0;  // ... and its depth told: not while a thread takes from the list
  uint64_t depth_sum = 0;    // items, over these
  uint32_t depth_max = 0;
  uint64_t waiting_sum = 0;   // threads blocked in epoll_wait
  double depth_mean() const;  // 0 where never told
  double waiting_mean() const;
};

class EpollTop {
 public:
  void add_pass(std::span<const epoll_list_record> records);

  // What was added since the last call; the deepest queue first, then the highest mean, then the
  // most passes.
  std::vector<EpollTopRow> take();

 private:
  using Key = std::tuple<uint32_t, int32_t, uint64_t>;  // process, descriptor, instance
  std::map<Key, EpollTopRow> rows_;
};

}  // namespace epulse::model
