#include "server/session/accept_load.hpp"

#include <algorithm>
#include <utility>

#include "bpf/steering.h"
#include "server/contract/stats_writer.hpp"

namespace epulse::server {
namespace {

// Events behind the first of a turn, times the share of the time that is busy. A turn of many tells
// nothing by itself: of an idle worker they chanced to come together.
__u32 depth_of(const AcceptLoad::Work& work) {
  if (work.events <= work.turns || work.turns == 0 || work.elapsed_ns == 0) return 0;
  const double waiting =
      static_cast<double>(work.events - work.turns) / static_cast<double>(work.turns);
  const double busy = static_cast<double>(work.busy_ns) / static_cast<double>(work.elapsed_ns);
  return static_cast<__u32>(STEERING_DEPTH_ONE * waiting * std::min(busy, 1.0));
}

}  // namespace

steering_worker* AcceptLoad::load() const {
  steering_worker* const first = loads_.load(std::memory_order_acquire);
  return first == nullptr ? nullptr : first + worker_;
}

void AcceptLoad::accepted(std::size_t connections) const {
  steering_worker* const load = this->load();
  if (load == nullptr) return;
  stat_set(load->connections, connections);
  if (load->settled < stat_read(load->assigned)) stat_add(load->settled, 1);
}

void AcceptLoad::closed(std::size_t connections) const {
  steering_worker* const load = this->load();
  if (load != nullptr) stat_set(load->connections, connections);
}

void AcceptLoad::tick(std::size_t connections, const epulse_stats_worker& stats,
                      std::uint64_t now_ns) {
  const Work total{stats.events, stats.loop_turns, stats.handler_ns, now_ns};
  const Work work = total - std::exchange(total_, total);
  steering_worker* const load = this->load();
  if (load == nullptr) return;
  stat_set(load->connections, connections);
  if (load->settled < assigned_before_) stat_set(load->settled, assigned_before_);
  assigned_before_ = stat_read(load->assigned);
  stat_set(load->depth, depth_of(work));
}

}  // namespace epulse::server
