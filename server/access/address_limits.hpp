#pragma once

#include <sys/socket.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <mutex>
#include <string_view>
#include <unordered_map>

namespace epulse::server {

// Who connects, as far as limits go: an IPv4 address, or the /64 network of an IPv6 one, since a
// host has all of that to choose from. IPv4 in IPv6 (RFC 4291, 2.5.5.2) counts as IPv4.
struct PeerKey {
  std::array<std::uint8_t, 8> bytes{};

  friend bool operator==(const PeerKey&, const PeerKey&) = default;
};

PeerKey peer_key(const sockaddr& address);

struct AddressLimitOptions {
  std::size_t connections = 0;       // open at once per address; 0: no limit
  double connects_per_second = 0;    // per address, in the long run; 0: no limit
  std::size_t connects_at_once = 0;  // in one burst; 0: what two seconds allow, at least 1
};

// Counts connections per address for all workers of the process. Any thread may call.
class AddressLimits {
 public:
  explicit AddressLimits(const AddressLimitOptions& options);

  bool enabled() const { return options_.connections != 0 || options_.connects_per_second != 0; }

  // Whether another connection is within the limits; if it is, leave() must follow its end.
  // `now_ns`: any clock that does not go back.
  bool enter(const PeerKey& peer, std::uint64_t now_ns);
  void leave(const PeerKey& peer, std::uint64_t now_ns);

  // Addresses that are remembered: those with connections, or that connected a moment ago.
  std::size_t size() const;

 private:
  struct Peer {
    std::size_t connections = 0;
    double credit = 0;  // connects that are allowed at `at_ns`
    std::uint64_t at_ns = 0;
  };
  struct Hash {
    std::size_t operator()(const PeerKey& peer) const {
      return std::hash<std::string_view>{}(
          {reinterpret_cast<const char*>(peer.bytes.data()), peer.bytes.size()});
    }
  };
  struct alignas(64) Shard {
    mutable std::mutex mutex;
    std::unordered_map<PeerKey, Peer, Hash> peers;
    std::size_t sweep_at = 64;
  };

  Shard& shard_of(const PeerKey& peer);
  double credit_at(const Peer& peer, std::uint64_t now_ns) const;
  void sweep(Shard& shard, std::uint64_t now_ns) const;

  AddressLimitOptions options_;
  double burst_;
  std::array<Shard, 64> shards_;
};

}  // namespace epulse::server
