#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <span>
#include <vector>

#include "agent/model/histogram.hpp"
#include "agent/model/socket_sample.hpp"
#include "agent/tuners/improvement.hpp"

namespace epulse::tuners {

// Some connections' buffers of one side, looked at several times a second: how often one is found
// full, and what goes through them. Of all of them together.
class SocketWatch {
 public:
  struct Found {
    Tally full;                                     // of the looks that found traffic
    model::Histogram bytes_per_s{model::kNsShape};  // of all
  };

  SocketWatch(model::BufferSide side, double pressure_share)
      : side_(side), pressure_share_(pressure_share) {}

  // Sockets that are not watched are passed over. The first look at one is only to compare with.
  void look(std::span<const model::SocketSample> samples, uint64_t now_ns);

  // Forgets what was found, not what to compare with.
  void restart() { found_ = {}; }
  // From now on these alone.
  void keep(const std::set<uint64_t>& inodes);

  void add(const model::SocketSample& sample) { last_[sample.inode] = {sample, 0}; }
  model::BufferSide side() const { return side_; }
  const Found& found() const { return found_; }
  // As last seen; those that were closed are left out.
  std::vector<model::SocketSample> sockets() const;
  bool empty() const { return last_.empty(); }

 private:
  struct Seen {
    model::SocketSample sample;
    uint64_t at_ns = 0;  // 0: not looked at yet
  };

  void compare(const Seen& before, const model::SocketSample& now, uint64_t now_ns);

  model::BufferSide side_;
  double pressure_share_;
  std::map<uint64_t, Seen> last_;  // by inode
  Found found_;
};

}  // namespace epulse::tuners
