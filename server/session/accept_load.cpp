#include "server/session/accept_load.hpp"

#include <algorithm>

#include "bpf/steering.h"
#include "server/contract/stats_writer.hpp"

namespace epulse::server {

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

void AcceptLoad::tick(std::size_t connections, const epulse_stats_worker& stats) {
  const std::uint64_t turns = stats.loop_turns - turns_;
  const std::uint64_t events = stats.events - events_;
  turns_ = stats.loop_turns;
  events_ = stats.events;
  steering_worker* const load = this->load();
  if (load == nullptr) return;
  stat_set(load->connections, connections);
  if (load->settled < assigned_before_) stat_set(load->settled, assigned_before_);
  assigned_before_ = stat_read(load->assigned);
  const std::uint64_t depth = turns == 0 ? 0 : STEERING_DEPTH_ONE * events / turns;
  stat_set(load->depth, static_cast<__u32>(std::min<std::uint64_t>(depth, UINT32_MAX)));
}

}  // namespace epulse::server
