#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

namespace epulse::model {

// How long `culprit` had the CPU while `victim`, woken, waited for it.
struct Blame {
  uint32_t victim = 0;   // thread id of a worker
  uint32_t culprit = 0;  // thread id; 0: the CPU was idle, and slow to wake
  std::string comm;      // of the culprit
  uint64_t ns = 0;
  uint64_t times = 0;
};

// From cumulative samples to what is new in each.
class BlameIntervals {
 public:
  // The most stolen time first.
  std::vector<Blame> advance(const std::vector<Blame>& cumulative);

 private:
  std::map<std::pair<uint32_t, uint32_t>, Blame> last_;
};

// By culprit, over all victims; the most stolen time first.
std::vector<Blame> by_culprit(const std::vector<Blame>& blames);

// "gzip[4711] 38.0 ms/s, sh[12] 1.0 ms/s": the first `most` of them, per second of `duration_ns`.
std::string text_of(const std::vector<Blame>& blames, uint64_t duration_ns, size_t most);

}  // namespace epulse::model
