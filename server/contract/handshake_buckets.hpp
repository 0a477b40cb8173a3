#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>

#include "server/contract/stats_page.h"

namespace epulse::server {

// Upper bounds of epulse_stats_worker::handshake_buckets, ns; the last bucket has what is above.
// 800 ms is where field rules alarm.
constexpr std::array<std::uint64_t, EPULSE_STATS_HANDSHAKE_BUCKETS - 1> kHandshakeBounds = {
    250'000,     500'000,     1'000'000,     2'500'000,     5'000'000,
    10'000'000,  25'000'000,  50'000'000,    100'000'000,   250'000'000,
    500'000'000, 800'000'000, 1'000'000'000, 2'500'000'000, 5'000'000'000};

constexpr std::size_t handshake_bucket(std::uint64_t ns) {
  return static_cast<std::size_t>(
      std::lower_bound(kHandshakeBounds.begin(), kHandshakeBounds.end(), ns) -
      kHandshakeBounds.begin());
}

}  // namespace epulse::server
